"""Which pictures a CLIP score may be of."""

from __future__ import annotations

import pytest

from textdiff.config import parse_flags
from textdiff.errors import UsageError
from textdiff.evaluation.clip_score.settings import ClipScoreSettings


@pytest.mark.parametrize(
    ("flags", "cause"),
    [
        ([], "give one of --model"),
        (["--model", "a", "--images", "b"], "give one of --model"),
        (["--images", "b"], "--images needs --judge"),
        (["--images", "b", "--features-file", "c"], "give one of --model"),
        (["--features-file", "c"], "--features-file needs --judge"),
    ],
)
def test_nothing_or_both_or_no_judge(flags, cause):
    with pytest.raises(UsageError, match=cause):
        parse_flags(ClipScoreSettings, flags, "clip-score", "")


@pytest.mark.parametrize("flags", [["--model", "a"], ["--images", "b", "--clip", "c"]])
def test_one_of_them(flags):
    assert parse_flags(ClipScoreSettings, flags, "clip-score", "").num_prompts == 128
