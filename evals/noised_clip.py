"""The same as `textdiff noised-clip`; see textdiff/commands/noised_clip.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["noised-clip", *sys.argv[1:]])
