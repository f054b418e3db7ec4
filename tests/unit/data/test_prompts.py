"""Prompts of flags and of a file."""

from __future__ import annotations

import pytest

from textdiff.data.prompts import read_prompts
from textdiff.errors import UsageError


def test_prompts_of_flags_then_of_a_file(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("red apple\n\n  blue heart \n", encoding="utf-8")
    assert read_prompts(["first", ""], str(file)) == ["first", "", "red apple", "blue heart"]


@pytest.mark.parametrize("content", [None, "", "\n \n"])
def test_no_prompt(tmp_path, content):
    file = tmp_path / "prompts.txt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match='no prompt; give --prompt "a red apple"'):
        read_prompts([], None if content is None else str(file))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read(tmp_path, content):
    file = tmp_path / "prompts.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=f"prompt file {file}: "):
        read_prompts(["a"], str(file))


# Lines, marks and bytes of a file


def test_only_line_ends_split_prompts(tmp_path):
    """str.splitlines would split at each of these too."""
    odd = "one\u2028two\x85three\x0cfour\x0bfive\x1csix"
    (tmp_path / "p.txt").write_bytes(f"{odd}\r\nred\n\nblue".encode())
    assert read_prompts([], str(tmp_path / "p.txt")) == [odd, "red", "blue"]


def test_a_byte_order_mark_is_no_part_of_a_prompt(tmp_path):
    (tmp_path / "p.txt").write_text("a red apple\n", encoding="utf-8-sig")
    assert read_prompts([], str(tmp_path / "p.txt")) == ["a red apple"]


def test_a_file_that_is_not_utf_8(tmp_path):
    (tmp_path / "p.txt").write_bytes(b"a red apple\na caf\xe9\n")
    with pytest.raises(UsageError, match=r"p\.txt: line 2 is not UTF-8; save the file as UTF-8"):
        read_prompts([], str(tmp_path / "p.txt"))


@pytest.mark.parametrize("prompt", [b"caf\xe9".decode("utf-8", "surrogateescape"), "\ud800"])
def test_a_prompt_that_is_not_utf_8(prompt):
    """As a Latin-1 terminal gives it; this ended in a traceback after all was drawn."""
    with pytest.raises(UsageError, match="is not UTF-8; set the terminal to UTF-8") as caught:
        read_prompts([prompt], None)
    assert str(caught.value).isprintable()
