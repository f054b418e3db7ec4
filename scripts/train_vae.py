"""The same as `textdiff train-vae`; see textdiff/commands/train_vae.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["train-vae", *sys.argv[1:]])
