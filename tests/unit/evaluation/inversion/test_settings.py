"""What the settings of an inversion refuse."""

from __future__ import annotations

import pytest

from textdiff.config import parse_flags
from textdiff.errors import UsageError
from textdiff.evaluation.inversion.settings import InversionSettings


def test_several_numbers_of_steps():
    flags = ["--model", "any", "--num-steps", "5", "20"]
    assert parse_flags(InversionSettings, flags, "inversion", "").num_steps == [5, 20]


def test_no_steps():
    flags = ["--model", "any", "--num-steps", "0"]
    with pytest.raises(UsageError, match=r"--num-steps: .*greater than or equal to 1"):
        parse_flags(InversionSettings, flags, "inversion", "")
