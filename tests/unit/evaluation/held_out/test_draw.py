"""Prompts of pictures that CLIPs will judge."""

from __future__ import annotations

import pytest

from textdiff.data import DataConfig, open_data
from textdiff.errors import UsageError
from textdiff.evaluation.held_out.draw import check_prompts, repeat_each


def test_one_prompt_is_too_few(shapes):
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")
    check_prompts(["a", "b"], data)
    with pytest.raises(UsageError, match=f"split train of {shapes} has 1 caption .* another --spl"):
        check_prompts(["a"], data)


def test_pictures_of_one_prompt_stand_together():
    assert repeat_each(["a", "b"], 2) == ["a", "a", "b", "b"]
