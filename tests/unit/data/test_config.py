"""Settings of data."""

import pytest

from textdiff.data import DataConfig
from textdiff.errors import UsageError


def test_fractions_must_leave_something():
    from textdiff.config import build

    with pytest.raises(UsageError, match="must be below 1"):
        build(DataConfig, [("a.yaml", {"val_fraction": 0.5, "test_fraction": 0.5})])


def test_only_scenes_with_relations_have_a_converse():
    from textdiff.config import build

    with pytest.raises(UsageError, match=r"converse with level pairs.*give level relations"):
        build(DataConfig, [("a.yaml", {"source": "scenes", "converse": True})])
