"""The same as `textdiff classify`; see textdiff/commands/classify.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["classify", *sys.argv[1:]])
