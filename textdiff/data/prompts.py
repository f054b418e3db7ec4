"""Prompts that a user lists: on the command line and in a file; the lines of any such file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textdiff.errors import UsageError


def read_prompts(prompts: Sequence[str], path: str | None) -> list[str]:
    """The prompts, then those of the file; empty lines of the file are skipped.

    Raises:
        UsageError: a file that cannot be read, a prompt that is no text, or no prompt at all.
    """
    lines = read_lines("prompt file", path) if path else []
    every = [*prompts, *(line.strip() for line in lines if line.strip())]
    if not every:
        raise UsageError('no prompt; give --prompt "a red apple" or --prompt-file FILE')
    for prompt in every:
        check_text(prompt)
    return every


def read_lines(what: str, path: str | Path) -> list[str]:
    """The lines of a text file, empty ones too; `what` names it in errors.

    They end in LF or CRLF and nothing else: a line may hold any other separator of Unicode. A byte
    order mark is no part of the first.

    Raises:
        UsageError: a file that cannot be read, or is not UTF-8.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{what} {path}: line {line} is not UTF-8; save the file as UTF-8"
        ) from None
    except OSError as error:
        raise UsageError(f"{what} {path}: {error}") from None
    return text.replace("\r\n", "\n").split("\n")


def check_text(prompt: str) -> None:
    """Raises UsageError for a prompt of bytes that are not UTF-8, as a terminal of another encoding
    gives them."""
    try:
        prompt.encode()
    except UnicodeEncodeError:
        shown = prompt.encode("utf-8", "surrogateescape" if _from_bytes(prompt) else "replace")
        raise UsageError(
            f"the prompt {shown!r} is not UTF-8; set the terminal to UTF-8, or put the prompt into "
            "a --prompt-file saved as UTF-8"
        ) from None


def _from_bytes(prompt: str) -> bool:
    """Whether every surrogate stands for a byte that could not be decoded."""
    return all(0xDC80 <= ord(char) <= 0xDCFF for char in prompt if 0xD800 <= ord(char) <= 0xDFFF)
