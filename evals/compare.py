"""The same as `textdiff compare`; see textdiff/commands/compare.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["compare", *sys.argv[1:]])
