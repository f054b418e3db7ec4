"""The same as `textdiff likelihood`; see textdiff/commands/likelihood.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["likelihood", *sys.argv[1:]])
