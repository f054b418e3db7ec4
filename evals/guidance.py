"""The same as `textdiff guidance`; see textdiff/commands/guidance.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["guidance", *sys.argv[1:]])
