"""The same as `textdiff embed`; see textdiff/commands/embed.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["embed", *sys.argv[1:]])
