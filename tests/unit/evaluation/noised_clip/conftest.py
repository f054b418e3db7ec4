"""A noised CLIP whose timestep layers are random."""

from __future__ import annotations

import pytest

from tests.helpers.noised import noised_clip
from textdiff.clip import NoisedClip


@pytest.fixture
def noised(tiny_clip) -> NoisedClip:
    """Of the shapes' CLIP."""
    return noised_clip(tiny_clip)
