"""The same as `textdiff inversion`; see textdiff/commands/inversion.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["inversion", *sys.argv[1:]])
