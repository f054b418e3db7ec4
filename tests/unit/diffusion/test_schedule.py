"""NoiseSchedule: golden tables and posteriors, and what holds for every choice of betas."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden, schedule_of
from textdiff.diffusion import NoiseSchedule, ScheduleConfig

SCHEDULES, POSTERIOR = golden("schedules"), golden("posterior")
DTYPES = {"float64": torch.float64, "float32": torch.float32}
NAMES = {  # golden name -> ours, where they differ
    "beta_tilde": "posterior_variance",
    "log_beta_tilde_clipped": "posterior_log_variance_clipped",
}

betas = st.lists(st.floats(1e-6, 0.999), min_size=1, max_size=20)


def assert_table(actual: torch.Tensor, expected) -> None:
    torch.testing.assert_close(
        actual, torch.tensor(expected, dtype=torch.float64), **SCHEDULES["tolerance"]["float64"]
    )


def tables(respaced: bool) -> list:
    """(case id, golden name) of every table listed entry by entry."""
    return [
        (case["id"], name)
        for case in SCHEDULES["cases"]
        for name in case["outputs"]
        if ("spacing" in case["inputs"]) == respaced
        and not name.startswith(("sum_", "log_snr", "posterior_coef", "timesteps"))
    ]


@pytest.mark.parametrize(("case_id", "name"), tables(respaced=False))
def test_golden_table(case_id, name):
    case = SCHEDULES["by_id"][case_id]
    table = getattr(schedule_of(case["inputs"]), NAMES.get(name, name))
    listed = case["inputs"].get("timesteps", range(len(table)))
    assert_table(table[list(listed)], case["outputs"][name])


@pytest.mark.parametrize("case_id", ["linear_T1000", "cosine_T1000"])
def test_golden_posterior_coefficients(case_id):
    case = SCHEDULES["by_id"][case_id]
    found = schedule_of(case["inputs"]).posterior_coefficients
    expected = [case["outputs"][f"posterior_coef_{of}"] for of in ("x0", "xt")]
    assert_table(torch.stack(found)[:, case["inputs"]["timesteps"]], expected)


@pytest.mark.parametrize("name", ["betas", "alphas_cumprod", "beta_tilde"])
@pytest.mark.parametrize("case_id", ["linear_T1000", "cosine_T1000"])
def test_golden_sum_over_all_timesteps(case_id, name):
    case = SCHEDULES["by_id"][case_id]
    table = getattr(schedule_of(case["inputs"]), NAMES.get(name, name))
    assert_table(table.sum(), case["outputs"][f"sum_{name}"])


@pytest.mark.parametrize(("case_id", "name"), tables(respaced=True))
def test_golden_respaced_table(case_id, name):
    case = SCHEDULES["by_id"][case_id]
    chain = schedule_of(case["inputs"]).respaced(case["outputs"]["timesteps_ascending"])
    assert_table(getattr(chain, NAMES.get(name, name)), case["outputs"][name])


def posterior_case(case: dict, dtype: str):
    """schedule, timestep (B,), the named tensors, and a check of a tensor against one of them."""
    inputs = case["inputs"]
    values = {"variance": case["outputs"].get("beta_tilde"), **case["outputs"], **inputs}
    tensors = {
        name: torch.tensor(values[name], dtype=DTYPES[dtype])
        for name in ("x_0", "x_t", "eps", "mean", "variance")
        if name in values
    }

    def check(actual: torch.Tensor, name: str) -> None:
        torch.testing.assert_close(actual, tensors[name], **POSTERIOR["tolerance"][dtype])

    timestep = torch.full((len(tensors["x_0"]),), inputs["timestep"])
    return schedule_of(inputs), timestep, tensors, check


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case_id", [i for i in POSTERIOR["by_id"] if "free_xt" not in i])
def test_golden_noised_image(case_id, dtype):
    schedule, timestep, given, check = posterior_case(POSTERIOR["by_id"][case_id], dtype)
    check(schedule.add_noise(given["x_0"], given["eps"], timestep), "x_t")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case_id", POSTERIOR["by_id"])
def test_golden_posterior_mean(case_id, dtype):
    schedule, timestep, given, check = posterior_case(POSTERIOR["by_id"][case_id], dtype)
    check(schedule.posterior(given["x_0"], given["x_t"], timestep)[0], "mean")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case_id", POSTERIOR["by_id"])
def test_golden_posterior_variance(case_id, dtype):
    schedule, timestep, given, check = posterior_case(POSTERIOR["by_id"][case_id], dtype)
    variance = schedule.posterior(given["x_0"], given["x_t"], timestep)[1]
    assert variance.shape == (len(timestep), 1, 1, 1)
    check(variance[0, 0, 0, 0], "variance")


@given(betas)
def test_posterior_variance_is_never_negative_nor_above_beta(values):
    schedule = NoiseSchedule(torch.tensor(values, dtype=torch.float64))
    variance = schedule.posterior_variance
    assert variance[0] == 0
    assert (variance >= 0).all()
    assert (variance <= schedule.betas * (1 + 1e-12)).all()


@given(betas)
def test_snr_falls_strictly(values):
    schedule = NoiseSchedule(torch.tensor(values, dtype=torch.float64))
    assert (schedule.snr.diff() < 0).all()


@given(st.data(), st.sampled_from(["linear", "cosine"]), st.integers(1, 200))
def test_respacing_keeps_alphas_cumprod_and_timesteps(data, name, num_timesteps):
    schedule = NoiseSchedule.from_config(ScheduleConfig(name=name, num_timesteps=num_timesteps))
    visited = sorted(data.draw(st.sets(st.integers(0, num_timesteps - 1), min_size=1)))
    chain = schedule.respaced(visited)
    assert chain.timesteps.tolist() == visited
    expected = schedule.alphas_cumprod[visited]
    torch.testing.assert_close(chain.alphas_cumprod, expected, rtol=1e-9, atol=1e-15)


def test_respacing_to_almost_pure_noise():
    """ac = 1e-23, so that beta' = 1 - ac rounds to 1, which is no beta."""
    assert 0 < NoiseSchedule.linear(9).respaced([8]).alphas_cumprod[0] < 1e-15


def test_respacing_twice_keeps_the_timesteps_of_the_network():
    chain = NoiseSchedule.linear(1000).respaced([99, 499, 999]).respaced([0, 2])
    assert chain.timesteps.tolist() == [99, 999]


@pytest.mark.parametrize("name", ["linear", "cosine"])
@pytest.mark.parametrize("num_timesteps", [1, 2, 1000])
def test_any_length_gives_finite_tables(name, num_timesteps):
    schedule = NoiseSchedule.from_config(ScheduleConfig(name=name, num_timesteps=num_timesteps))
    for table in ("betas", "alphas_cumprod", "half_log_snr", "posterior_log_variance_clipped"):
        values = getattr(schedule, table)
        assert values.shape == (num_timesteps,), table
        assert values.isfinite().all(), table


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_dtype_is_kept(dtype):
    schedule, x = NoiseSchedule.cosine(10), torch.ones(2, 1, 2, 2, dtype=dtype)
    timestep = torch.tensor([0, 9])
    results = [schedule.add_noise(x, x, timestep), *schedule.posterior(x, x, timestep)]
    assert {result.dtype for result in results} == {dtype}


def test_each_sample_has_its_own_timestep():
    schedule, x_0 = NoiseSchedule.linear(1000), torch.ones(3, 1, 2, 2, dtype=torch.float64)
    timestep = torch.tensor([999, 0, 500])
    x_t = schedule.add_noise(x_0, torch.zeros_like(x_0), timestep)
    torch.testing.assert_close(x_t[:, 0, 0, 0], schedule.alphas_cumprod[timestep].sqrt())


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_beta_outside_the_open_interval_is_named(bad):
    with pytest.raises(ValueError, match=r"betas\[1\] = .* outside \(0, 1\)"):
        NoiseSchedule(torch.tensor([0.1, bad, 0.2]))


@pytest.mark.parametrize("shape", [(0,), (2, 2), ()])
def test_betas_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="must have shape"):
        NoiseSchedule(torch.full(shape, 0.1))


@pytest.mark.parametrize(
    ("timesteps", "message"),
    [
        ([], "must lie in 0..9"),
        ([-1, 3], "must lie in 0..9"),
        ([3, 10], "must lie in 0..9"),
        ([5, 3], "must strictly ascend"),
        ([3, 3], "must strictly ascend"),
        ([3, 12, 5], "must strictly ascend"),
    ],
)
def test_bad_respacing_is_refused(timesteps, message):
    with pytest.raises(ValueError, match=message):
        NoiseSchedule.linear(10).respaced(timesteps)


def test_betas_that_leave_nothing_before_the_last_step_are_refused():
    with pytest.raises(ValueError, match=r"alphas_cumprod is 0 from betas\[107\] on"):
        NoiseSchedule(torch.full((200,), 0.999, dtype=torch.float64))
