"""The same as `textdiff prior`; see textdiff/commands/prior.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["prior", *sys.argv[1:]])
