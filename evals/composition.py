"""The same as `textdiff composition`; see textdiff/commands/composition.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["composition", *sys.argv[1:]])
