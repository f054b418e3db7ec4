"""Sampling binary pictures: golden path, exact denoisers whose samples are known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import pytest
import torch
from torch import Tensor

from tests.helpers.golden import golden
from textdiff.binary.prediction import (
    BinaryDenoise,
    BinaryPrediction,
    reverse_logits,
)
from textdiff.binary.sampling import (
    ancestral_step,
    binary_inpaint,
    fair_coins,
    sample_binary,
)
from textdiff.binary.schedule import BinarySchedule
from textdiff.sampling import ImageNoise, timestep_grid

CASES = golden("binary")["by_id"]
PICTURES = torch.tensor(  # three of four pixels, in proportions WEIGHTS
    [[1, 1, -1, -1], [-1, 1, -1, 1], [1, -1, 1, 1]], dtype=torch.float64
)
WEIGHTS = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


def finite_set(
    schedule: BinarySchedule, pictures: Tensor = PICTURES, weights: Tensor = WEIGHTS
) -> BinaryDenoise:
    """The exact denoiser of data that are `pictures` (K, m) with probabilities `weights` (K,)."""

    def denoise(x_t: Tensor, timestep: Tensor) -> BinaryPrediction:
        p = schedule.flip_probability[timestep].view(-1, 1, 1)
        differs = x_t.flatten(1)[:, None] != pictures[None]  # (B, K, m)
        joint = weights * torch.where(differs, p, 1 - p).prod(-1)
        plus = (joint / joint.sum(1, keepdim=True)) @ (pictures > 0).double()
        return BinaryPrediction(plus.clamp(0, 1).logit().view_as(x_t))

    return denoise


def uniforms(values: Iterable[float], shape: tuple[int, ...] = (1, 1, 1, 1)):
    """Normals whose distribution function has these values, one draw after the other."""
    left = iter(values)
    return lambda: torch.special.ndtri(torch.full(shape, next(left), dtype=torch.float64))


def normals(shape: tuple[int, ...], seed: int):
    rng = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(shape, generator=rng, dtype=torch.float64)


def draw(denoise, schedule, grid, noise) -> list[Tensor]:
    """States x_T, ..., x_0."""
    x_T = fair_coins(noise()).double()
    steps = sample_binary(denoise, schedule, grid, x_T, noise)
    return [x_T, *(step.x_t for step in steps)]


def test_golden_path():
    inputs = CASES["sampling_path"]["inputs"]
    schedule = BinarySchedule.constant(inputs["T"], inputs["delta"])
    share = inputs["p_x0_plus"]
    denoise = finite_set(
        schedule, torch.tensor([[1.0], [-1.0]]).double(), torch.tensor([share, 1 - share]).double()
    )
    path = draw(denoise, schedule, torch.arange(6), uniforms(inputs["uniforms"]))
    assert [int(x.item()) for x in path] == CASES["sampling_path"]["outputs"]["path_T_to_0"]


@pytest.mark.parametrize("num_steps", [1, 2, 3, 6])
def test_one_pixel_reaches_its_proportion_in_any_number_of_steps(num_steps):
    """A single pixel's reverse steps are exact, respaced or not."""
    schedule = BinarySchedule.cosine(6)
    denoise = finite_set(
        schedule, torch.tensor([[1.0], [-1.0]]).double(), torch.tensor([0.8, 0.2]).double()
    )
    grid = timestep_grid(schedule, num_steps)
    x_0 = draw(denoise, schedule, grid, normals((20_000, 1, 1, 1), 0))[-1]
    assert (x_0 > 0).double().mean().item() == pytest.approx(0.8, abs=0.01)


def exact_distribution(denoise, schedule: BinarySchedule, grid: Tensor) -> dict[tuple, float]:
    """p(x_0) of the sampler by following every path through all states."""
    chain = schedule.respaced(grid)
    states = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)), dtype=torch.float64)
    x = states.view(-1, 1, 1, 4)
    p = torch.full((16,), 1 / 16, dtype=torch.float64)
    for index in reversed(range(chain.num_timesteps)):
        prediction = denoise(x, chain.timesteps[index].expand(16))
        plus = reverse_logits(chain, prediction, x, torch.full((16,), index)).sigmoid().flatten(1)
        p = p @ torch.where(states[None] > 0, plus[:, None], 1 - plus[:, None]).prod(-1)
    return {tuple(state.tolist()): float(share) for state, share in zip(states, p, strict=True)}


def test_samples_follow_the_chain_enumerated_over_all_states():
    schedule = BinarySchedule.cosine(3)
    denoise, grid = finite_set(schedule), torch.arange(3)
    expected = exact_distribution(denoise, schedule, grid)
    x_0 = draw(denoise, schedule, grid, normals((20_000, 1, 1, 4), 0))[-1].flatten(1)
    for state, share in expected.items():
        found = (x_0 == torch.tensor(state).double()).all(1).double().mean().item()
        assert found == pytest.approx(share, abs=0.012), state


@pytest.mark.parametrize(("num_steps", "within"), [(10, 0.1), (100, 0.01), (1000, 0.0015)])
def test_the_exact_denoiser_draws_pictures_in_their_proportions(num_steps, within):
    """Pixels are drawn independently given x_t, which more steps make right: the error falls as
    1 / steps."""
    schedule = BinarySchedule.cosine(1000)
    found = exact_distribution(finite_set(schedule), schedule, timestep_grid(schedule, num_steps))
    for picture, weight in zip(PICTURES, WEIGHTS, strict=True):
        assert found[tuple(picture.tolist())] == pytest.approx(float(weight), abs=within)


def test_certain_predictions_leave_nothing_to_chance():
    """Q = 1 gives +1 and Q = 0 gives -1, whatever is drawn, the ends of float32's normals too."""
    chain = BinarySchedule.cosine(4)
    x_t = torch.ones(1, 1, 1, 4)
    prediction = BinaryPrediction(torch.tensor([1, 1, -1, -1]).view(1, 1, 1, 4) * math.inf)
    extremes = torch.tensor([9.0, -9.0, 9.0, -9.0]).view(1, 1, 1, 4)
    x = ancestral_step(chain, prediction, x_t, 0, extremes)
    assert x.flatten().tolist() == [1, 1, -1, -1]


def test_coins_are_fair():
    z = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    coins = fair_coins(z)
    assert set(coins.tolist()) == {-1.0, 1.0}
    assert coins.mean().item() == pytest.approx(0, abs=0.03)


def test_a_picture_does_not_depend_on_its_batch():
    schedule = BinarySchedule.cosine(5)

    def of(seeds):
        noise = ImageNoise([(0, seed) for seed in seeds], (1, 1, 4))
        return draw(finite_set(schedule), schedule, torch.arange(5), noise)[-1]

    assert torch.equal(of([0, 1, 2, 3])[2:3], of([2]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_pictures_stay_what_they_are(dtype):
    schedule = BinarySchedule.cosine(10)
    logits = torch.tensor([3.0, -3.0, 0.5, -0.5], dtype=dtype).view(1, 1, 1, 4)
    noise = normals((1, 1, 1, 4), 0)
    x_T = fair_coins(noise()).to(dtype)
    steps = sample_binary(
        lambda x_t, timestep: BinaryPrediction(logits), schedule, torch.arange(10), x_T, noise
    )
    for step in steps:
        assert step.x_t.dtype == dtype
        assert set(step.x_t.abs().flatten().tolist()) == {1.0}


@pytest.mark.parametrize("predicts", ["x_0", "posterior"])
def test_known_pixels_end_as_they_were(predicts):
    """And on the way they are flipped as often as the forward process flips them."""
    schedule, init = BinarySchedule.cosine(4), torch.tensor([1.0, 1.0, -1.0, -1.0]).view(1, 1, 1, 4)
    redraw = torch.tensor([False, True, False, True]).view(1, 1, 1, 4)
    said = BinaryPrediction(torch.zeros(5000, 1, 1, 4), predicts)
    denoise = binary_inpaint(lambda x_t, timestep: said, schedule, init, redraw)
    known = init.expand(5000, -1, -1, -1) == 1
    for t, x in zip(
        (2, 1, 0),
        draw(denoise, schedule, torch.arange(4), normals((5000, 1, 1, 4), 0))[1:],
        strict=False,
    ):
        flipped = ((x > 0) != known)[..., [0, 2]].double().mean().item()
        assert flipped == pytest.approx(float(schedule.flip_probability[t]), abs=0.02)
    last = draw(denoise, schedule, torch.arange(4), normals((5000, 1, 1, 4), 0))[-1]
    assert ((last > 0) == known)[..., [0, 2]].all()
    assert 0.4 < (last[..., [1, 3]] > 0).double().mean() < 0.6
