"""The same as `textdiff finetune-clip`; see textdiff/commands/finetune_clip.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["finetune-clip", *sys.argv[1:]])
