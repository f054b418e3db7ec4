"""The same as `textdiff vae`; see textdiff/commands/vae.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["vae", *sys.argv[1:]])
