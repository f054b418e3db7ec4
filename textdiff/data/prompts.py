"""Prompts that a user lists: on the command line and in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textdiff.errors import UsageError


def read_prompts(prompts: Sequence[str], path: str | None) -> list[str]:
    """The prompts, then those of the file; empty lines of the file are skipped.

    Raises:
        UsageError: a file that cannot be read, or no prompt at all.
    """
    lines: list[str] = []
    if path:
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"prompt file {path}: {error}") from None
    every = [*prompts, *(line.strip() for line in lines if line.strip())]
    if not every:
        raise UsageError('no prompt; give --prompt "a red apple" or --prompt-file FILE')
    return every
