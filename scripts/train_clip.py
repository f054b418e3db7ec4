"""The same as `textdiff train-clip`; see textdiff/commands/train_clip.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["train-clip", *sys.argv[1:]])
