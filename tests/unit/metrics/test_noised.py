"""Noise that belongs to a picture, features under it, and evenly spaced timesteps."""

from __future__ import annotations

import pytest
import torch

from textdiff.diffusion import NoiseSchedule
from textdiff.metrics.noised import even_timesteps, fixed_noise, noised_features


def test_noise_of_a_picture_is_its_own():
    both, one = fixed_noise([3, 8], (1, 4, 4)), fixed_noise([8], (1, 4, 4))
    assert torch.equal(both[1:], one)
    assert not torch.equal(both[0], both[1])
    assert not torch.equal(fixed_noise([8], (1, 4, 4), draw=1), one)


def test_the_last_chunk_may_be_smaller(monkeypatch):
    def encode(x_t, timestep):
        assert timestep.shape == (len(x_t),)
        return x_t.flatten(1)

    image = torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8)
    eps, schedule = fixed_noise(range(5), (3, 4, 4)), NoiseSchedule.cosine(10)
    whole = noised_features(encode, image, eps, 3, schedule)
    monkeypatch.setattr("textdiff.metrics.noised.CHUNK", 2)
    assert torch.equal(noised_features(encode, image, eps, 3, schedule), whole)


@pytest.mark.parametrize(
    ("count", "T", "expected"),
    [(3, 100, [0, 50, 99]), (2, 1000, [0, 999]), (5, 3, [0, 1, 2]), (4, 1, [0])],
)
def test_even_timesteps(count, T, expected):
    assert even_timesteps(count, T) == expected
