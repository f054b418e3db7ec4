"""Statistics of latents over a split against numpy on all of them, by one process or several."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.helpers.vaes import tiny_vae
from textdiff.data import DataConfig, open_data
from textdiff.metrics import latents
from textdiff.metrics.latents import measure_latents
from textdiff.pictures import to_float


@pytest.fixture
def data(shapes, monkeypatch):
    monkeypatch.setattr(latents, "CHUNK", 3)  # several chunks, the last one smaller
    config = DataConfig(source=str(shapes), image_size=16, min_side=4, max_bad_fraction=0.5)
    return open_data(config, "train")


def test_they_are_what_numpy_says_of_all_latents(data):
    vae = tiny_vae()
    found = measure_latents(vae, data)
    used, pictures = data.usable(range(len(data)))
    with torch.no_grad():
        posterior = vae.moments(to_float(pictures))
    means = posterior.mean.double().numpy().transpose(1, 0, 2, 3).reshape(4, -1)
    within = np.exp(posterior.logvar.double().numpy()).transpose(1, 0, 2, 3).reshape(4, -1)
    np.testing.assert_allclose(found.mean.numpy(), means.mean(1), rtol=1e-4, atol=1e-6)
    std = np.sqrt(means.var(1, ddof=1) + within.mean(1))
    np.testing.assert_allclose(found.std.numpy(), std, rtol=1e-5)
    assert (found.count, found.vae) == (len(used), vae.identity)
    assert found.data == data.title


def test_two_processes_give_the_bits_of_one(data):
    vae, one = tiny_vae(), measure_latents(tiny_vae(), data)
    sent = []
    for rank in (1, 0):
        measure_latents(
            vae, data, rank=rank, world_size=2, gather=lambda rows: sent.extend(rows) or rows
        )
    both = measure_latents(vae, data, rank=0, world_size=2, gather=lambda rows: sent)
    assert torch.equal(both.mean, one.mean) and torch.equal(both.std, one.std)
    assert both.count == one.count


def test_a_limit_looks_at_some_from_all_over_the_split(data):
    few = measure_latents(tiny_vae(), data, limit=4)
    assert few.count == 4
    again = measure_latents(tiny_vae(), data, limit=4)
    assert torch.equal(few.mean, again.mean)
    other = measure_latents(tiny_vae(), data, limit=4, seed=1)
    assert not torch.equal(few.mean, other.mean)
