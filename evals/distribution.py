"""The same as `textdiff distribution`; see textdiff/commands/distribution.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["distribution", *sys.argv[1:]])
