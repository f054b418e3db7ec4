"""Streamed moments against numpy on all numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.vae import Posterior
from textdiff.vae.moments import Moments


def posterior(count: int, seed: int = 0, offset: float = 0.0) -> Posterior:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(count, 3, 2, 2, generator=generator) * 3 + offset
    return Posterior(mean, torch.randn(count, 3, 2, 2, generator=generator))


def parts_of(whole: Posterior, sizes: list[int]) -> list[Moments]:
    means, logvars = whole.mean.split(sizes), whole.logvar.split(sizes)
    return [Moments.of(Posterior(m, v)) for m, v in zip(means, logvars, strict=True)]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.sampled_from([0.0, 1e3]))
def test_parts_merge_to_what_numpy_says_of_all(sizes, offset):
    whole = posterior(sum(sizes), offset=offset)
    merged = Moments.merge(parts_of(whole, sizes))
    columns = whole.mean.double().numpy().transpose(1, 0, 2, 3).reshape(3, -1)
    within = np.exp(whole.logvar.double().numpy()).transpose(1, 0, 2, 3).reshape(3, -1)
    np.testing.assert_allclose(merged.mean.numpy(), columns.mean(1), rtol=1e-9, atol=1e-9)
    std = np.sqrt(columns.var(1, ddof=1) + within.mean(1))
    np.testing.assert_allclose(merged.std.numpy(), std, rtol=1e-9)


def test_the_deviation_is_that_of_drawn_latents():
    whole = posterior(40)
    eps = torch.randn(500, *whole.mean.shape, generator=torch.Generator().manual_seed(1))
    drawn = whole.sample(eps).transpose(0, 2).flatten(1)
    torch.testing.assert_close(Moments.of(whole).std.float(), drawn.std(1), rtol=0.01, atol=0)


def test_a_row_holds_all_of_it():
    moments = Moments.of(posterior(4))
    again = Moments.from_row(moments.as_row())
    assert again.as_row() == moments.as_row() and again.count == 16


def test_one_number_has_no_deviation_of_means():
    single = Posterior(torch.full((1, 2, 1, 1), 5.0), torch.zeros(1, 2, 1, 1))
    assert Moments.of(single).std.tolist() == pytest.approx([1.0, 1.0])
