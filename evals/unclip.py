"""The same as `textdiff unclip`; see textdiff/commands/unclip.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["unclip", *sys.argv[1:]])
