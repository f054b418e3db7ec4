"""Cutouts: where they come from, that batches do not matter, the mean that they make."""

from __future__ import annotations

import torch
from torch import Tensor

from textdiff.guidance.cutouts import cut, cutout_encoder, cutout_streams

# each pixel knows where it is: channel 0 across, channel 1 down, pixel centres of [-1, 1]
CENTRES = torch.linspace(-7, 7, 8) / 8
WHERE = torch.stack([CENTRES.expand(8, 8), CENTRES.view(8, 1).expand(8, 8)])[None]
UPRIGHT = 0.5


def view(size: float, across: float, down: float, turn: float = UPRIGHT) -> Tensor:
    """(2, 8, 8): where each pixel of the view came from."""
    return cut(WHERE, torch.tensor([[[size, across, down, turn]]]))[0, 0]


def test_the_largest_view_is_the_picture():
    torch.testing.assert_close(view(1.0, 0.3, 0.9), WHERE[0])


def test_the_smallest_view_in_the_corner_is_a_quarter():
    found = view(0.0, 0.0, 1.0)
    torch.testing.assert_close(found[0, 0, 1:], CENTRES[1:] / 2 - 0.5)
    torch.testing.assert_close(found[1, :-1, 0], CENTRES[:-1] / 2 + 0.5)


def test_a_turn_is_of_at_most_ten_degrees_and_not_a_mirror():
    found = view(0.0, 0.5, 0.5, 1.0)
    across = found[:, 4, 5] - found[:, 4, 4]
    angle = torch.rad2deg(torch.atan2(across[1], across[0]))
    assert abs(abs(float(angle)) - 10) < 0.01


def test_gradients_reach_the_pixels():
    x = WHERE.clone().requires_grad_()
    cut(x, torch.full((1, 1, 4), 0.5)).sum().backward()
    assert x.grad[:, :, 3:5, 3:5].all()


def mean_brightness(x: Tensor, timestep: Tensor) -> Tensor:
    return torch.stack([x.mean((1, 2, 3)), timestep.float()], dim=-1)


PICTURES = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
TIMESTEP = torch.tensor([5, 6, 7])


def test_a_picture_has_its_views_at_every_batch_size():
    seeds = [(0, 0), (0, 1), (0, 2)]
    whole = cutout_encoder(mean_brightness, 4, cutout_streams(seeds))
    alone = cutout_encoder(mean_brightness, 4, cutout_streams(seeds[1:2]))
    for _ in range(2):
        found = whole(PICTURES, TIMESTEP)[1:2]
        torch.testing.assert_close(found, alone(PICTURES[1:2], TIMESTEP[1:2]))


def test_every_call_and_every_picture_has_views_of_its_own():
    same = PICTURES[:1].expand(2, -1, -1, -1)
    encode = cutout_encoder(mean_brightness, 4, cutout_streams([(0, 0), (0, 1)]))
    first, second = (encode(same, TIMESTEP[:2])[:, 0] for _ in range(2))
    assert len({*first.tolist(), *second.tolist()}) == 4


def test_the_feature_is_the_mean_over_the_views():
    seen = []

    def encode(x: Tensor, timestep: Tensor) -> Tensor:
        seen.append((x, timestep))
        return mean_brightness(x, timestep)

    streams = cutout_streams([(0, k) for k in range(3)])
    found = cutout_encoder(encode, 4, streams)(PICTURES, TIMESTEP)
    ((views, timestep),) = seen
    assert timestep.tolist() == [5] * 4 + [6] * 4 + [7] * 4
    torch.testing.assert_close(found[:, 0], views.mean((1, 2, 3)).view(3, 4).mean(1))
