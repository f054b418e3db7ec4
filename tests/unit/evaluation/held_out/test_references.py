"""The real pictures that drawn ones should be close to."""

from __future__ import annotations

import pytest

from textdiff.data import DataConfig, open_data
from textdiff.errors import UsageError
from textdiff.evaluation.held_out.references import reference_pictures


@pytest.fixture
def data(shapes):
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")


def test_reference_pictures_are_none_of_a_prompts(data):
    prompts = [data.captions[k][0] for k in range(5)]
    found = reference_pictures(data, prompts, seed=0, limit=9)
    others = {data.image(k).numpy().tobytes() for k in range(5, 8)}
    assert {image.numpy().tobytes() for image in found} == others
    assert len(reference_pictures(data, prompts, seed=0, limit=2)) == 2


def test_too_few_reference_pictures(data):
    prompts = [data.captions[k][0] for k in range(7)]
    with pytest.raises(UsageError, match=r"1 pictures besides .* smaller --num-prompts, or --ref"):
        reference_pictures(data, prompts, seed=0, limit=9)
