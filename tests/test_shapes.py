"""While tests run, functions of the rooms of formulas refuse tensors of another shape."""

from __future__ import annotations

import jaxtyping
import pytest
import torch

from tests.helpers.shapes_checked import not_checked
from textdiff.clip import contrastive_loss
from textdiff.diffusion import NoiseSchedule, from_eps
from textdiff.metrics import frechet_distance

SCHEDULE = NoiseSchedule.linear(10)
IMAGES = torch.zeros(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        (lambda: from_eps(SCHEDULE, IMAGES, IMAGES[:, :1], torch.tensor([1, 2])), "height|shape"),
        (lambda: from_eps(SCHEDULE, IMAGES, IMAGES, torch.tensor([1])), "batch"),
        (lambda: from_eps(SCHEDULE, IMAGES, IMAGES, torch.tensor([0.1, 0.2])), "timestep"),
        (lambda: frechet_distance(torch.ones(4, 5), torch.ones(4, 6)), "dim"),
        (lambda: contrastive_loss(torch.ones(2, 4), torch.ones(3, 4), torch.ones(())), "batch"),
    ],
)
def test_a_wrong_shape_is_refused(call, wrong):
    with pytest.raises(jaxtyping.TypeCheckError, match=wrong):
        call()


def test_checks_can_be_left_out():
    with not_checked():
        from_eps(SCHEDULE, IMAGES, IMAGES, torch.tensor([1]))
    with pytest.raises(jaxtyping.TypeCheckError):
        from_eps(SCHEDULE, IMAGES, IMAGES, torch.tensor([1]))


def test_what_has_passed_once_is_not_looked_at_again():
    """But what differs is, in shape or in dtype."""
    right = torch.tensor([1, 2])
    for _ in range(2):
        from_eps(SCHEDULE, IMAGES, IMAGES, right)
    for wrong in (torch.tensor([1]), right.double()):
        with pytest.raises(jaxtyping.TypeCheckError):
            from_eps(SCHEDULE, IMAGES, IMAGES, wrong)
