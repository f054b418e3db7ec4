"""Intervals of distances: pictures of one prompt are no independent observations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from textdiff.clip import ClipModel
from textdiff.errors import CheckpointError
from textdiff.evaluation.held_out import measure
from textdiff.evaluation.held_out.measure import resampled_distances, unit_features


@pytest.mark.parametrize("name", ["kid", "frechet"])
def test_repeated_pictures_do_not_narrow_an_interval(name, monkeypatch):
    monkeypatch.setattr(measure, "RESAMPLES", 50)
    monkeypatch.setattr(measure, "FRECHET_RESAMPLES", 5)
    rng = torch.Generator().manual_seed(0)
    x = F.normalize(torch.randn(20, 4, generator=rng) + 1, dim=-1)
    y = F.normalize(torch.randn(200, 4, generator=rng), dim=-1)
    once = getattr(resampled_distances(x, y, 1), name).resampled.std()
    repeated = getattr(resampled_distances(x.repeat_interleave(4, dim=0), y, 4), name)
    assert repeated.resampled.std() > 0.9 * once


def test_a_clip_that_gives_no_numbers(tiny_clip):
    clip = ClipModel.load(tiny_clip).freeze()
    clip.model.visual.proj.data.fill_(torch.nan)
    pictures = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(CheckpointError, match="features by runs/judge are NaN or infinite"):
        unit_features(clip, pictures, "runs/judge")
