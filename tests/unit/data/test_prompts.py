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
