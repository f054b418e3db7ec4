"""The same as `textdiff train`; see textdiff/commands/train.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
