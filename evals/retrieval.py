"""The same as `textdiff retrieval`; see textdiff/commands/retrieval.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["retrieval", *sys.argv[1:]])
