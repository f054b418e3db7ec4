"""The same as `textdiff report`; see textdiff/commands/report.py."""

import sys

from textdiff.commands.cli import main

if __name__ == "__main__":
    main(["report", *sys.argv[1:]])
