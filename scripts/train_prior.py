"""The same as `textdiff train-prior`; see textdiff/commands/train_prior.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["train-prior", *sys.argv[1:]])
