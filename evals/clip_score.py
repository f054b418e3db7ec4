"""The same as `textdiff clip-score`; see textdiff/commands/clip_score.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["clip-score", *sys.argv[1:]])
