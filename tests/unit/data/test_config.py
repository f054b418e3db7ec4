"""Settings of data."""

import pytest

from textdiff.data import DataConfig
from textdiff.errors import UsageError


def test_fractions_must_leave_something():
    from textdiff.config import build

    with pytest.raises(UsageError, match="must be below 1"):
        build(DataConfig, [("a.yaml", {"val_fraction": 0.5, "test_fraction": 0.5})])
