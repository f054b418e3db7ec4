"""Text that comes with data: how it is cleaned, split into lines, and shown.

Nothing in a caption or a file name is ever markup, a control sequence, or half a character.
"""

from __future__ import annotations

import re

LINE_BREAK = re.compile(r"\r\n|\r|\n")
NOT_UTF_8 = re.compile("[\udc80-\udcff]")  # what Python puts in place of a byte that is not UTF-8
SURROGATE = re.compile("[\ud800-\udfff]")
# Signs that no reader of a caption means: control characters but for white space, and byte order
# marks, which stand inside a text where files were put together.
CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")
SEPARATOR = re.compile("[\x0b\x0c\x1c-\x1f\x85]")  # white space that is control characters too


def lines_of(text: str) -> list[str]:
    """Split at line breaks alone: U+2028, NEL and form feeds are letters of a line."""
    return LINE_BREAK.split(text)


def is_utf_8(text: str) -> bool:
    """Whether `text`, decoded with `surrogateescape`, was UTF-8."""
    return not NOT_UTF_8.search(text)


def clean_caption(text: str) -> str:
    """Without space around it, control characters and byte order marks; those that part words
    become a space. Half a surrogate pair, which JSON can spell, becomes U+FFFD. Tabs, line breaks,
    right-to-left text, emoji and what joins them stay."""
    return SURROGATE.sub("\ufffd", SEPARATOR.sub(" ", CONTROL.sub("", text)).strip())


def as_utf_8(name: str) -> str:
    """A file name that any file can hold: bytes that are not UTF-8 as \\xe9."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shown(text: str, max_letters: int | None = None) -> str:
    """`text` on one line of a terminal: what does not print as an escape, a long one cut."""
    cut = text if max_letters is None or len(text) <= max_letters else f"{text[:max_letters]}..."
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut
    )
