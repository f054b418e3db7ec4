"""The bound of binary diffusion: golden losses, and exact sums over all pictures of few pixels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.binary_pictures import all_pictures, flips_at_once, picture
from tests.helpers.golden import golden
from textdiff.binary.likelihood import bernoulli_kl, bound_term, prior_term
from textdiff.binary.prediction import BinaryPrediction, reverse_logits
from textdiff.binary.schedule import BinarySchedule

GOLDEN = golden("binary")
CASES, TOLERANCE = GOLDEN["by_id"], GOLDEN["tolerance"]
DTYPES = {"float64": torch.float64, "float32": torch.float32}
SCHEDULES = {
    "cosine": BinarySchedule.cosine,
    "linear": BinarySchedule.linear,
    "constant": lambda T: BinarySchedule.constant(T, 0.1),
}
PRIOR = torch.tensor([0.3, 0.05, 0.1, 0.2, 0.05, 0.1, 0.15, 0.05], dtype=torch.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("suffix", ["", "_t1"])
def test_golden_loss(dtype, suffix):
    inputs, expected = CASES["loss"]["inputs"], CASES["loss"]["outputs"]
    x_0, y_t, logits = (picture(inputs[key], DTYPES[dtype]) for key in ("x_0", "y_t", "logits"))
    logits.requires_grad_(True)
    step = 1 if suffix else inputs["t"]
    schedule = BinarySchedule.constant(inputs["t"], inputs["delta"])
    target = schedule.posterior_logits(x_0, y_t, torch.tensor([step - 1]))
    kl = bernoulli_kl(target, logits)
    (gradient,) = torch.autograd.grad(kl.sum(), logits)
    found = {f"target{suffix}": target.sigmoid(), f"kl{suffix}": kl}
    if not suffix:
        found["grad_logits"] = gradient
    for name, value in found.items():
        torch.testing.assert_close(
            value.detach().flatten(),
            torch.tensor(expected[name], dtype=DTYPES[dtype]),
            **TOLERANCE[dtype],
        )
    total = torch.tensor(expected[f"kl_sum{suffix}"], dtype=DTYPES[dtype])
    torch.testing.assert_close(kl.sum().detach(), total, **TOLERANCE[dtype])


def exact_x_0_logits(schedule: BinarySchedule, prior: Tensor, num_pixels: int, t: int) -> Tensor:
    """log-odds of each pixel of x_0 given each x_t, (2^m, 1, 1, m), for pictures of p = prior."""
    states = all_pictures(num_pixels)
    joint = prior[:, None] * flips_at_once(float(schedule.flip_probability[t]), num_pixels)
    given_x_t = joint / joint.sum(0)
    plus = given_x_t.T @ (states.flatten(1) > 0).double()
    return plus.clamp(0, 1).logit().view_as(states)


def exact_bound(schedule: BinarySchedule, num_pixels: int, logits_at: list[Tensor]) -> Tensor:
    """The bound of each picture, (2^m,) in bits/dim: the mean over every x_t, none drawn."""
    states = all_pictures(num_pixels)
    bound = torch.full((len(states),), prior_term(schedule), dtype=torch.float64)
    for t, logits in enumerate(logits_at):
        reached = flips_at_once(float(schedule.flip_probability[t]), num_pixels)
        timestep = torch.full((len(states),), t)
        for k, x_0 in enumerate(states):
            terms = bound_term(
                schedule, BinaryPrediction(logits), x_0.expand_as(states), states, timestep
            )
            bound[k] += (reached[k] * terms).sum()
    return bound


def model_log_probability(
    schedule: BinarySchedule, num_pixels: int, logits_at: list[Tensor]
) -> Tensor:
    """-log p(x_0) of the reverse chain by summing over all of its paths, (2^m,) in bits/dim."""
    states = all_pictures(num_pixels)
    p = torch.full((len(states),), 1 / len(states), dtype=torch.float64)
    for t in reversed(range(schedule.num_timesteps)):
        timestep = torch.full((len(states),), t)
        plus = reverse_logits(schedule, BinaryPrediction(logits_at[t]), states, timestep).sigmoid()
        of_next = torch.where(
            states.flatten(1)[None] > 0, plus.flatten(1)[:, None], 0
        ) + torch.where(states.flatten(1)[None] < 0, 1 - plus.flatten(1)[:, None], 0)
        p = p @ of_next.prod(-1)
    assert p.sum().item() == pytest.approx(1)
    return -p.log2() / num_pixels


@pytest.mark.parametrize("num_timesteps", [1, 3])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_bound_is_above_minus_log_p(name, num_timesteps):
    schedule = SCHEDULES[name](num_timesteps)
    logits_at = [exact_x_0_logits(schedule, PRIOR, 3, t) for t in range(num_timesteps)]
    gap = exact_bound(schedule, 3, logits_at) - model_log_probability(schedule, 3, logits_at)
    assert (gap >= -1e-12).all()


def test_the_bound_is_minus_log_p_where_one_step_forgets_all():
    """T = 1 and delta = 1/2: x_T says nothing of x_0, so the bound has nothing to lose."""
    schedule = BinarySchedule.constant(1, 0.5)
    logits_at = [picture([0.3, -1.2, 2.0]).expand(8, -1, -1, -1)]
    torch.testing.assert_close(
        exact_bound(schedule, 3, logits_at), model_log_probability(schedule, 3, logits_at)
    )


@pytest.mark.parametrize("num_timesteps", [1, 2, 5])
def test_the_bound_is_the_entropy_for_the_exact_model_of_one_pixel(num_timesteps):
    """One pixel's reverse steps are exact, and the schedule ends in fair coins: no gap is left in
    the mean over pictures."""
    schedule, prior = BinarySchedule.cosine(num_timesteps), torch.tensor([0.2, 0.8]).double()
    logits_at = [exact_x_0_logits(schedule, prior, 1, t) for t in range(num_timesteps)]
    entropy = float(-(prior * prior.log2()).sum())
    assert (prior * exact_bound(schedule, 1, logits_at)).sum().item() == pytest.approx(entropy)


def test_prior_term_is_the_divergence_from_fair_coins():
    schedule = BinarySchedule.constant(6, 0.1)
    p = (1 - 0.8**6) / 2
    expected = p * math.log2(2 * p) + (1 - p) * math.log2(2 * (1 - p))
    assert prior_term(schedule) == pytest.approx(expected)
    assert prior_term(BinarySchedule.linear(6)) == 0


@given(st.floats(-40, 40), st.floats(-40, 40))
def test_kl_is_not_negative_and_zero_at_the_target(target, logit):
    target, logit = (torch.tensor(x, dtype=torch.float64) for x in (target, logit))
    assert bernoulli_kl(target, logit) >= -1e-12
    assert abs(bernoulli_kl(target, target)) < 1e-12
