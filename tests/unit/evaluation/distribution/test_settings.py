"""Which pictures a comparison may be of."""

from __future__ import annotations

import pytest

from textdiff.config import parse_flags
from textdiff.errors import UsageError
from textdiff.evaluation.distribution.settings import DistributionSettings


@pytest.mark.parametrize(
    ("flags", "cause"),
    [
        ("--features inception", "give one of --model"),
        ("--model a --images b --features inception", "give one of --model"),
        ("--model a", "give --features"),
        ("--features-file f", "give --features"),
        ("--images b --features c --reference r --limit 9", "--reference holds the real"),
        ("--features-file f --features c --grid g", "--grid needs pictures"),
        ("--images b --features c --training-split none --grid g", "--grid needs pictures"),
        ("--images b --features c --training-split val", "are both val"),
    ],
)
def test_what_does_not_go_together(flags, cause):
    with pytest.raises(UsageError, match=cause):
        parse_flags(DistributionSettings, flags.split(), "distribution", "")


@pytest.mark.parametrize(
    "flags",
    [
        "--model a --features c",
        "--images b --features c --reference r",
        "--features-file f --reference r",
    ],
)
def test_what_does(flags):
    parse_flags(DistributionSettings, flags.split(), "distribution", "")
