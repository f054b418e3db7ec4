"""Binary schedules: golden numbers, brute force over all pictures of few pixels, properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.binary_pictures import flips_at_once, picture
from tests.helpers.golden import golden
from textdiff.binary.config import BinaryConfig
from textdiff.binary.schedule import BinarySchedule

GOLDEN = golden("binary")
CASES, TOLERANCE = GOLDEN["by_id"], GOLDEN["tolerance"]
DTYPES = {"float64": torch.float64, "float32": torch.float32}
SCHEDULES = {
    "cosine": BinarySchedule.cosine,
    "linear": BinarySchedule.linear,
}

deltas = st.lists(st.floats(1e-6, 0.5), min_size=1, max_size=20)
signs = st.sampled_from([-1.0, 1.0])


def at_step(step: int) -> torch.Tensor:
    """The sources' step, counted from 1, as a timestep."""
    return torch.tensor([step - 1])


# Golden numbers


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("p_differs", "flip_probability"),
        ("p_replaced_by_fair_coin", "replaced_probability"),
    ],
)
def test_golden_flip_probability(name, table, row):
    inputs, expected = (CASES["flip_probability"][key] for key in ("inputs", "outputs"))
    schedule = BinarySchedule.constant(1000, inputs["delta"][row])
    found = getattr(schedule, table)[[t - 1 for t in inputs["t"]]]
    torch.testing.assert_close(
        found, torch.tensor(expected[name][row], dtype=torch.float64), **TOLERANCE["float64"]
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case_id", ["posterior_delta0.01", "posterior_delta0.1"])
def test_golden_posterior(case_id, dtype):
    case = CASES[case_id]
    schedule = BinarySchedule.constant(100, case["inputs"]["delta"])
    for step in case["inputs"]["t"]:
        for signs_of, expected in case["outputs"][f"t={step}"].items():
            x_0, y_t = (int(part.split("=")[1]) for part in signs_of.split(","))
            x_0, y_t = picture([x_0], DTYPES[dtype]), picture([y_t], DTYPES[dtype])
            found = schedule.posterior_logits(x_0, y_t, at_step(step)).sigmoid().item()
            near = pytest.approx(
                expected, rel=TOLERANCE[dtype]["rtol"], abs=TOLERANCE[dtype]["atol"]
            )
            assert found == near, (step, signs_of)


def test_golden_marginals_of_one_pixel():
    """P(x_t = +1) of a pixel that starts at +1 with probability p: p, or 1 - p if flipped."""
    inputs, expected = (CASES["exact_reverse_one_pixel"][key] for key in ("inputs", "outputs"))
    p, schedule = inputs["p_x0_plus"], BinarySchedule.constant(inputs["T"], inputs["delta"])
    found = p + (1 - 2 * p) * schedule.flip_probability
    assert found.tolist() == pytest.approx(expected["marginal_plus"][1:], rel=1e-9)


# Brute force


@pytest.mark.parametrize("num_pixels", [1, 2, 3])
def test_closed_form_is_the_product_of_the_steps(num_pixels):
    schedule = BinarySchedule(torch.tensor([0.05, 0.2, 0.4]))
    so_far = torch.eye(2**num_pixels, dtype=torch.float64)
    for t, delta in enumerate(schedule.deltas):
        so_far = so_far @ flips_at_once(float(delta), num_pixels)
        closed = flips_at_once(float(schedule.flip_probability[t]), num_pixels)
        torch.testing.assert_close(so_far, closed)


@given(deltas, signs, signs)
def test_posterior_is_bayes_rule(steps, x_0, x_t):
    schedule = BinarySchedule(torch.tensor(steps, dtype=torch.float64))
    for t in range(1, len(steps)):
        prior = (1 + x_0 * float((1 - 2 * schedule.deltas[:t]).prod())) / 2  # of x_{t-1} = +1
        of_plus = float(schedule.deltas[t] if x_t < 0 else 1 - schedule.deltas[t])
        joint = of_plus * prior, (1 - of_plus) * (1 - prior)
        found = schedule.posterior_logits(picture([x_0]), picture([x_t]), torch.tensor([t]))
        assert found.sigmoid().item() == pytest.approx(joint[0] / sum(joint), rel=1e-6)


@pytest.mark.parametrize("x_0", [-1.0, 1.0])
@pytest.mark.parametrize("x_t", [-1.0, 1.0])
def test_at_the_least_noisy_step_the_posterior_is_x_0(x_0, x_t):
    schedule = BinarySchedule.cosine(10)
    found = schedule.posterior_logits(picture([x_0]), picture([x_t]), torch.tensor([0]))
    assert found.sigmoid().item() == (x_0 + 1) / 2


@given(deltas, st.floats(-20, 20), signs)
def test_soft_posterior_is_the_average_of_the_two(steps, logit, x_t):
    schedule = BinarySchedule(torch.tensor(steps, dtype=torch.float64))
    p, x_t = torch.tensor(logit, dtype=torch.float64).sigmoid(), picture([x_t])
    for t in range(len(steps)):
        timestep = torch.tensor([t])
        plus, minus = (
            schedule.posterior_logits(picture([x_0]), x_t, timestep).sigmoid()
            for x_0 in (1.0, -1.0)
        )
        found = schedule.mixed_posterior_logits(picture([logit]), x_t, timestep).sigmoid()
        torch.testing.assert_close(found, p * plus + (1 - p) * minus, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("x_0", [-1.0, 1.0])
@pytest.mark.parametrize("t", [0, 1, 9])
def test_certain_logits_give_the_posterior_of_a_known_pixel(x_0, t):
    schedule, timestep = BinarySchedule.cosine(10), torch.tensor([t])
    for x_t in (picture([1.0]), picture([-1.0])):
        certain = schedule.mixed_posterior_logits(picture([x_0 * math.inf]), x_t, timestep)
        torch.testing.assert_close(
            certain, schedule.posterior_logits(picture([x_0]), x_t, timestep)
        )


# Schedules


@pytest.mark.parametrize("num_timesteps", [1, 2, 1000])
@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_schedules_end_in_fair_coins(name, num_timesteps):
    schedule = SCHEDULES[name](num_timesteps)
    assert schedule.flip_probability[-1] == 0.5
    assert (schedule.flip_probability.diff() > 0).all()


def test_cosine_and_linear_follow_their_names():
    t = torch.arange(10, dtype=torch.float64)
    torch.testing.assert_close(
        BinarySchedule.cosine(10).correlation, torch.cos(math.pi / 2 * (t + 1) / 10)
    )
    torch.testing.assert_close(BinarySchedule.linear(10).correlation, 1 - (t + 1) / 10)


@given(deltas)
def test_flip_probability_rises_to_a_half_at_most(steps):
    p = BinarySchedule(torch.tensor(steps, dtype=torch.float64)).flip_probability
    assert (p.diff() >= 0).all()
    assert p[-1] <= 0.5


@given(deltas, st.data())
def test_respaced_chains_have_the_same_marginals(steps, data):
    schedule = BinarySchedule(torch.tensor(steps, dtype=torch.float64))
    kept = sorted(data.draw(st.sets(st.integers(0, len(steps) - 1), min_size=1)))
    chain = schedule.respaced(torch.tensor(kept))
    assert chain.timesteps.tolist() == kept
    torch.testing.assert_close(chain.correlation, schedule.correlation[kept])


def test_respacing_past_where_nothing_is_left():
    chain = BinarySchedule.constant(10, 0.5).respaced(torch.tensor([0, 4, 9]))
    assert chain.deltas.tolist() == [0.5, 0.5, 0.5]


def test_one_coin_flips_as_often_as_it_says():
    schedule, rng = BinarySchedule.linear(10), torch.Generator().manual_seed(0)
    x_0 = torch.ones(1, 1, 100, 100)
    for t in (0, 4, 9):
        u = torch.rand(x_0.shape, generator=rng)
        flipped = (schedule.add_noise(x_0, u, torch.tensor([t])) < 0).double().mean().item()
        assert flipped == pytest.approx(float(schedule.flip_probability[t]), abs=0.015)


# Bad input


@pytest.mark.parametrize("bad", [0.0, -0.1, 0.51, float("nan")])
def test_a_delta_outside_its_range_is_named(bad):
    with pytest.raises(ValueError, match=r"deltas\[1\].*outside \(0, 1/2\]"):
        BinarySchedule(torch.tensor([0.1, bad]))


@pytest.mark.parametrize("shape", [(0,), (2, 2)])
def test_a_table_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"shape \(T,\)"):
        BinarySchedule(torch.full(shape, 0.1))


@pytest.mark.parametrize("grid", [[2, 1], [1, 1], [-1, 2], [0, 10], []])
def test_a_grid_that_does_not_ascend_within_range_is_refused(grid):
    with pytest.raises(ValueError, match=r"ascend|must lie in"):
        BinarySchedule.linear(10).respaced(torch.tensor(grid, dtype=torch.int64))


def test_configs_build_their_schedules():
    for config in (
        BinaryConfig(num_timesteps=7),
        BinaryConfig(schedule="linear", num_timesteps=7),
        BinaryConfig(schedule="constant", delta=0.2, num_timesteps=7),
    ):
        found = BinarySchedule.from_config(config)
        assert found.num_timesteps == 7
        if config.delta:
            assert found.deltas.tolist() == [0.2] * 7


@pytest.mark.parametrize(
    "values",
    [{"schedule": "constant"}, {"delta": 0.1}, {"schedule": "constant", "delta": 0.6}],
)
def test_configs_that_contradict_themselves_are_refused(values):
    with pytest.raises(ValueError, match="delta"):
        BinaryConfig(**values)
