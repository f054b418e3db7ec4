"""The discriminator and its weight."""

from __future__ import annotations

import pytest
import torch

from textdiff.vae.adversarial import (
    HIGHEST,
    PatchDiscriminator,
    adaptive_weight,
    discriminator_loss,
    generator_loss,
)


@pytest.mark.parametrize(("layers", "side"), [(1, 16), (2, 34), (3, 70)])
def test_a_verdict_sees_a_patch_of_the_stated_side(layers, side):
    network = PatchDiscriminator(8, layers)
    for module in network.modules():  # a norm looks at the whole picture
        if isinstance(module, torch.nn.GroupNorm):
            module.forward = lambda x: x
    images = torch.zeros(1, 3, 128, 128, requires_grad=True)
    verdicts = network(images)
    middle = verdicts.shape[-1] // 2
    verdicts[0, 0, middle, middle].backward()
    seen = images.grad.abs().sum((0, 1))
    assert (seen.sum(0) > 0).sum() == (seen.sum(1) > 0).sum() == side


def test_hinge_losses():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.5])
    real, fake = real.view(2, 1, 1, 1), fake.view(2, 1, 1, 1)
    assert discriminator_loss(real, fake).tolist() == [0.0, 1.0]
    assert generator_loss(fake).tolist() == [3.0, -0.5]


def test_the_weight_is_the_ratio_of_gradients():
    reconstruction, adversarial = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 2.0])
    assert adaptive_weight(reconstruction, adversarial).item() == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("reconstruction", "adversarial"),
    [(1.0, 0.0), (0.0, 0.0), (float("inf"), 1.0), (float("nan"), 1.0), (1.0, float("nan"))],
)
def test_the_weight_is_always_finite(reconstruction, adversarial):
    weight = adaptive_weight(torch.tensor([reconstruction]), torch.tensor([adversarial]))
    assert weight.isfinite() and 0 <= weight <= HIGHEST
