"""The same as `textdiff sample`; see textdiff/commands/sample.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["sample", *sys.argv[1:]])
