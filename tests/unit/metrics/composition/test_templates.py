"""Gains against the squared errors that they stand for."""

from __future__ import annotations

import torch

from textdiff.metrics.composition.smooth import margin_of, smooth
from textdiff.metrics.composition.templates import templates_on
from textdiff.randomness import Stream

SIZE = 32


def sprites(count: int, side: int) -> torch.Tensor:
    """Premultiplied RGBA of random colours and opacities."""
    alpha = Stream("alpha").uniform(count, 1, side, side).float()
    return torch.cat([Stream("rgb").uniform(count, 3, side, side).float() * alpha, alpha], dim=1)


def test_gain_is_the_squared_error_that_a_thing_takes_away():
    background, things = torch.tensor([0.9, 0.2, 0.4]), sprites(3, 7)
    templates = templates_on(background, things, SIZE, pool=2)
    assert len(templates) == 3
    assert templates.side == 7 + 2 * margin_of(SIZE)
    drawn = things[:, :3] + (1 - things[:, 3:]) * background[:, None, None]
    added = smooth(drawn - background[:, None, None], SIZE).flatten(1)
    boxes = Stream("boxes").normal(2, added.shape[1])
    expected = boxes.square().sum(1)[:, None] - (boxes[:, None] - added).square().sum(2)
    thing = torch.arange(3).expand(2, 3)
    assert torch.allclose(templates.gains(boxes, thing), expected, atol=1e-3)


def test_coarse_gains_are_those_of_means():
    templates = templates_on(torch.ones(3), sprites(3, 7), SIZE, pool=2)
    side = templates.coarse_side
    whole = templates.added.view(3, 3, templates.side, templates.side)
    mean = whole[1, 2, 2:4, 4:6].mean()
    assert torch.allclose(templates.coarse.view(3, 3, side, side)[1, 2, 1, 2], mean)
    own = templates.coarse_gains(templates.coarse.T[None])[0].diagonal()
    assert torch.allclose(own, templates.coarse_energy, atol=1e-4)
