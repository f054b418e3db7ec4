"""Text that comes with data: cleaned, split, shown."""

import pytest

from textdiff.data.text import as_utf_8, clean_caption, is_utf_8, lines_of, shown


def test_lines_end_at_line_breaks_alone():
    assert lines_of("a\r\nb\rc\nd\u2028\x85\x0ce") == ["a", "b", "c", "d\u2028\x85\x0ce"]


def test_half_a_character_is_replaced():
    assert clean_caption(" a\ud800 ") == "a\ufffd"


def test_signs_that_nobody_means_are_left_out():
    assert clean_caption("\ufeff\x00a\x1b[31m re\x7fd\x9f\n") == "a[31m red"
    assert clean_caption("a\tred\r\n\x0b\x1fbig\x85apple\x0c") == "a\tred\r\n  big apple"
    assert (
        clean_caption("\u200f\u05d0 \U0001f469\u200d\U0001f680")
        == "\u200f\u05d0 \U0001f469\u200d\U0001f680"
    )


def test_bytes_that_are_not_utf_8():
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert not is_utf_8(name) and is_utf_8("café")
    assert as_utf_8(name) == "caf\\xe9" and as_utf_8("café") == "café"


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "a\u2028b", "\ud800", "\u202eabc"])
def test_what_does_not_print_is_escaped(text):
    assert shown(text).isprintable()


def test_a_long_text_is_cut():
    assert shown("é" * 100, 10) == "é" * 10 + "..."
