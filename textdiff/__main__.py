"""`python -m textdiff` is the command `textdiff`."""

from textdiff.commands.cli import main

main()
