"""A denoiser asked for some samples after the others."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.exact import gaussian, with_mix
from textdiff.diffusion import NoiseSchedule
from textdiff.sampling.chunks import in_chunks
from textdiff.timesteps import known_timestep, shared_timestep
from textdiff.types import Prediction

SCHEDULE = NoiseSchedule.cosine(100)


@given(count=st.integers(1, 9), size=st.integers(1, 10))
def test_chunks_are_joined_to_what_one_denoiser_says(count, size):
    whole = with_mix(gaussian(SCHEDULE, 0.3, 0.5), 0.25)
    sizes = []

    def denoiser(rows: slice):
        def denoise(x_t, timestep):
            assert known_timestep(timestep) == 50
            sizes.append(len(x_t))
            return whole(x_t, timestep)

        return denoise

    x_t, timestep = torch.randn(count, 1, 2, 2), shared_timestep(50, count, "cpu")
    found, expected = in_chunks(count, size, denoiser)(x_t, timestep), whole(x_t, timestep)
    assert (max(sizes) <= size, sum(sizes)) == (True, count)
    assert torch.equal(found.x_0, expected.x_0)
    assert torch.equal(found.eps, expected.eps)
    assert torch.equal(found.variance_mix, expected.variance_mix)
    assert found.gradient is None


def test_each_chunk_has_its_own_denoiser():
    def denoiser(rows: slice):
        return lambda x_t, timestep: Prediction(x_t + rows.start, x_t, gradient=x_t * rows.start)

    x_t = torch.zeros(5, 1)
    found = in_chunks(5, 2, denoiser)(x_t, torch.zeros(5, dtype=torch.int64))
    assert found.x_0.flatten().tolist() == [0, 0, 2, 2, 4]
    assert found.gradient.shape == (5, 1)
