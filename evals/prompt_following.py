"""The same as `textdiff prompt-following`; see textdiff/commands/prompt_following.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["prompt-following", *sys.argv[1:]])
