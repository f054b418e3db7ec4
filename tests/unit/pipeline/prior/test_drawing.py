"""Drawing: a prior that is known exactly, what a seed gives, guidance, the dot asked for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.helpers.priors import autoregressive_prior, captions, diffusion_prior
from textdiff.diffusion import NoiseSchedule
from textdiff.errors import UsageError
from textdiff.pipeline.prior.config import PriorSampling
from textdiff.pipeline.prior.drawing import (
    draw_by_diffusion,
    draw_codes,
    guided_logits,
    seeds_of,
    upper_half,
)

COSINE = NoiseSchedule.cosine(1000)
ROWS = 6000


class LinearGaussian:
    """The optimal prior of embeddings z_i = A z_t + b + noise of covariance S:

    E[x_0 | x_t] = m + a S (a^2 S + b^2 I)^-1 (x_t - a m),   m = A z_t + b

    What is bound to it are the means m (B, 2).
    """

    covariance = torch.tensor([[0.5, 0.3], [0.3, 0.4]])

    def __init__(self) -> None:
        self.config = SimpleNamespace(embed_dim=2)
        self.clip_std = torch.ones(1)

    def __call__(self, x_t, timestep, means):
        a, b = (COSINE.at(name, timestep, x_t)[0] for name in ("signal", "noise"))
        spread = a**2 * self.covariance + b**2 * torch.eye(2)
        gain = a * self.covariance @ torch.linalg.inv(spread)
        return means + (x_t - a * means) @ gain.T

    def unscaled(self, x):
        return x


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp_sde"])
def test_of_embeddings_linear_in_the_text_it_reaches_mean_and_covariance(sampler):
    texts = torch.tensor([[1.0, -0.5], [-0.3, 0.8]])
    means = texts @ torch.tensor([[0.6, -0.2], [0.1, 0.9]]).T + torch.tensor([0.2, -0.1])
    rows = means.repeat_interleave(ROWS // 2, dim=0)
    config = PriorSampling(sampler=sampler, num_steps=100)
    drawn = draw_by_diffusion(LinearGaussian(), COSINE, rows, rows, seeds_of(0, 0, ROWS, 1), config)
    for mean, of_text in zip(means, drawn.chunk(2), strict=True):
        # four standard errors, and some per cent that 100 steps leave
        torch.testing.assert_close(of_text.mean(0), mean, atol=0.04, rtol=0)
        torch.testing.assert_close(of_text.T.cov(), LinearGaussian.covariance, atol=0.05, rtol=0)


def bound(network, count: int):
    seen = network.bind(captions(count + 1))
    return seen[:count], seen[[count] * count]


def draw(network, count: int, rows=slice(None), **settings):
    given, empty = bound(network, count)
    config, seeds = PriorSampling(**{"num_steps": 5, **settings}), seeds_of(7, 0, count, 1)
    if hasattr(network, "codes"):
        return draw_codes(network, given[rows], empty[rows], seeds[rows], config)
    return draw_by_diffusion(network, COSINE, given[rows], empty[rows], seeds[rows], config)


@pytest.mark.parametrize("network", [diffusion_prior, autoregressive_prior])
@pytest.mark.parametrize("guidance_scale", [1.0, 2.0])
def test_a_row_is_the_same_in_any_batch(network, guidance_scale):
    together = draw(network(), 5, guidance_scale=guidance_scale)
    alone = draw(network(), 5, slice(2, 4), guidance_scale=guidance_scale)
    torch.testing.assert_close(together[2:4], alone, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("network", [diffusion_prior, autoregressive_prior])
def test_guidance_of_scale_0_forgets_the_caption(network):
    prior = network()
    given, empty = bound(prior, 3)
    config = PriorSampling(num_steps=3, guidance_scale=0)
    seeds = seeds_of(0, 0, 3, 1)
    if hasattr(prior, "codes"):
        one, other = (draw_codes(prior, each, empty, seeds, config) for each in (given, empty))
    else:
        one, other = (
            draw_by_diffusion(prior, COSINE, each, empty, seeds, config) for each in (given, empty)
        )
    torch.testing.assert_close(one, other)


def test_guided_logits_go_beyond_the_conditional_ones():
    guided = guided_logits(lambda codes: codes + 3.0, lambda codes: codes + 1.0, 2.0)
    assert guided(torch.zeros(2, 1)).tolist() == [[5.0], [5.0]]


def test_the_dot_is_from_the_upper_half_of_its_distribution():
    uniforms = torch.linspace(0, 0.999, 1000)
    logits = torch.tensor([0.4, 0.3, 0.2, 0.1]).log().expand(1000, -1)
    found = upper_half(logits, uniforms).bincount(minlength=4)
    assert found.tolist() == pytest.approx([0, 400, 400, 200], abs=2)
    last = torch.full((1,), 1 - 2**-24)
    assert upper_half(logits[:1], last).tolist() == [3]


def test_more_steps_than_the_schedule_has():
    with pytest.raises(UsageError, match=r"num_steps must lie in 1\.\.1000"):
        draw(diffusion_prior(), 1, num_steps=1001)


def test_seeds_are_apart_from_those_of_pictures():
    assert seeds_of(3, 5, 2, 2) == [
        *(("prior", 3, 5, 0), ("prior", 3, 5, 1)),
        *(("prior", 3, 6, 0), ("prior", 3, 6, 1)),
    ]
