"""The same as `textdiff features`; see textdiff/commands/features.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["features", *sys.argv[1:]])
