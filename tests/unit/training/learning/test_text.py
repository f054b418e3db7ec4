"""Networks that ignore the text, follow it, or hardly look."""

from __future__ import annotations

import pytest
import torch

from textdiff.training.learning.probe import Denoised, FixedNoise, Probe
from textdiff.training.learning.text import LEVELS, MATTERS, text_response
from textdiff.types import Conditioning

COUNT = 6
PICTURES = torch.randn(COUNT, 3, 4, 4, generator=torch.Generator().manual_seed(0))
CAPTIONS = Conditioning(torch.arange(COUNT).float().view(-1, 1, 1))  # the picture's number


def response(share: float, pictures: torch.Tensor = PICTURES, seen: list | None = None):
    """Of a network whose x_0_hat is so much of the prompt's picture, the rest x_t."""

    def denoise(images, draws, conditioning) -> Denoised:
        if seen is not None:
            seen.append(draws)
        told = pictures[conditioning.tokens.flatten().long()]
        x_0_hat = share * told + (1 - share) * draws.eps
        return Denoised(torch.zeros(len(images)), images, draws.eps, draws.timestep, x_0_hat)

    noise = FixedNoise(0, tuple(pictures.shape[1:]), 100)
    probe = Probe(pictures, [str(k) for k in range(len(pictures))])
    return text_response(denoise, probe, CAPTIONS[: len(pictures)], noise)


def test_text_that_is_ignored_matters_for_no_prompt():
    found = response(0.0)
    assert found.changes == (0.0,) * COUNT
    assert found.matter == 0


def test_a_network_that_draws_its_prompt_changes_by_a_whole_picture():
    found = response(1.0)
    assert found.changes == pytest.approx([1.0] * COUNT)
    assert found.matter == COUNT
    assert found.values() == {
        "text/change": pytest.approx(1.0),
        "text/prompts": COUNT,
        "text/prompts_that_matter": COUNT,
    }


@pytest.mark.parametrize(("share", "matter"), [(0.9 * MATTERS, 0), (1.1 * MATTERS, COUNT)])
def test_a_prompt_matters_from_the_threshold_on(share, matter):
    assert response(share).matter == matter


def test_both_prompts_see_the_same_noise_at_stated_timesteps():
    seen: list = []
    response(0.5, seen=seen)
    assert [draws.timestep.unique().item() for draws in seen] == [
        int(100 * level) for level in LEVELS for _ in range(2)
    ]
    assert all(torch.equal(draws.eps, seen[0].eps) for draws in seen)


@pytest.mark.parametrize("pictures", [PICTURES[:1], PICTURES[:1].expand(COUNT, -1, -1, -1)])
def test_nothing_is_said_without_two_pictures_to_tell_apart(pictures):
    assert response(1.0, pictures) is None
