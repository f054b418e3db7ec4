"""timestep_grid: golden grids, what each spacing makes equal, collisions, and what is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden, schedule_of
from textdiff.binary import BinarySchedule
from textdiff.diffusion import NoiseSchedule
from textdiff.sampling import timestep_grid
from textdiff.sampling.config import Spacing

RESPACED = [c for c in golden("schedules")["cases"] if "spacing" in c["inputs"]]
SPACINGS = Spacing.__args__
LINEAR, COSINE = NoiseSchedule.linear(1000), NoiseSchedule.cosine(1000)
MAKERS = [
    NoiseSchedule.linear,
    NoiseSchedule.cosine,
    lambda T: NoiseSchedule.cosine(max(T, 2)).with_zero_terminal_snr(),
]


@pytest.mark.parametrize("case", RESPACED, ids=lambda case: case["id"])
def test_golden_grid(case):
    inputs = case["inputs"]
    grid = timestep_grid(schedule_of(inputs), inputs["num_steps"], inputs["spacing"])
    assert grid.tolist() == case["outputs"]["timesteps_ascending"]


@pytest.mark.parametrize("file", ["ancestral", "ddim", "dpmpp"])
def test_golden_trailing_grids(file):
    listed = [c["inputs"] for c in golden(file)["cases"] if "trailing" in c["id"]]
    listed = [inputs for inputs in listed if "timesteps" in inputs]
    assert listed
    for inputs in listed:
        grid = timestep_grid(schedule_of(inputs), len(inputs["timesteps"]))
        assert grid.flip(0).tolist() == inputs["timesteps"]


@given(
    st.sampled_from(SPACINGS),
    st.sampled_from(MAKERS),
    st.integers(1, 300).flatmap(lambda T: st.tuples(st.just(T), st.integers(1, T))),
)
def test_grids_ascend_strictly_within_the_schedule(spacing, maker, lengths):
    num_timesteps, num_steps = lengths
    schedule = maker(num_timesteps)
    grid = timestep_grid(schedule, num_steps, spacing)
    assert (grid.dtype, len(grid)) == (torch.int64, num_steps)
    assert (grid.diff() > 0).all()
    assert grid[0] >= 0
    assert grid[-1] < schedule.num_timesteps


@pytest.mark.parametrize(
    ("spacing", "ends"),
    [
        ("trailing", (332, 999)),
        ("leading", (0, 666)),
        ("linspace", (0, 999)),
        ("log_snr", (0, 999)),
        ("karras", (0, 999)),
    ],
)
@pytest.mark.parametrize(
    "schedule", [COSINE, COSINE.with_zero_terminal_snr()], ids=["", "zero SNR"]
)
def test_ends(schedule, spacing, ends):
    grid = timestep_grid(schedule, 3, spacing).tolist()
    assert (grid[0], grid[-1]) == ends


def test_half_rounds_to_even():
    # 2.5 -> 2, 7.5 -> 8
    assert timestep_grid(NoiseSchedule.linear(10), 4, "trailing").tolist() == [1, 4, 7, 9]


@pytest.mark.parametrize("spacing", ["log_snr", "karras"])
def test_equal_strides_but_for_the_nearest_timestep(spacing):
    """Of log sigma or sigma^(1/7), from timestep T-2 to 0, where timesteps lie close enough."""
    grid = timestep_grid(LINEAR, 12, spacing)
    log_sigma = -LINEAR.half_log_snr
    of_sigma = log_sigma if spacing == "log_snr" else (log_sigma / 7).exp()
    targets = torch.linspace(of_sigma[0], of_sigma[-2], 12, dtype=torch.float64)
    nearest = [int((of_sigma - target).abs().argmin()) for target in targets]
    assert (grid[:-1] - torch.tensor(nearest[:-1])).abs().max() <= 1


@pytest.mark.parametrize("spacing", ["log_snr", "karras"])
@pytest.mark.parametrize("delta", [0.3, 0.45, 0.5])
def test_timesteps_of_noise_alone_are_left_out_but_for_the_last(spacing, delta):
    """A correlation that falls by a constant factor is soon below float64's range."""
    schedule = BinarySchedule.constant(1000, delta)
    snr = (2 * schedule.half_log_snr).exp()
    told = int((snr > 1e-12).sum())
    grid = timestep_grid(schedule, 6, spacing)
    assert grid[0] == 0
    assert grid[-2] <= max(told, 4)  # 4: as many as are asked for
    assert grid[-1] == 999


def test_collisions_are_pushed_apart():
    """Near the clean end log sigma has fewer timesteps than targets."""
    assert timestep_grid(LINEAR, 50, "log_snr")[:6].tolist() == list(range(6))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("num_timesteps", [1, 2, 7, 1000])
def test_all_steps_is_every_timestep(num_timesteps, spacing):
    grid = timestep_grid(NoiseSchedule.linear(num_timesteps), num_timesteps, spacing)
    assert grid.tolist() == list(range(num_timesteps))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_one_step_is_the_noisiest_but_of_leading(spacing):
    assert timestep_grid(LINEAR, 1, spacing).tolist() == [0 if spacing == "leading" else 999]


@pytest.mark.parametrize("num_steps", [0, -1, 11])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_num_steps_out_of_range_is_refused(num_steps, spacing):
    with pytest.raises(ValueError, match=rf"num_steps must lie in 1\.\.10, got {num_steps}"):
        timestep_grid(NoiseSchedule.linear(10), num_steps, spacing)


@pytest.mark.usefixtures("shapes_not_checked")
def test_unknown_spacing_is_refused():
    with pytest.raises(ValueError, match="unknown spacing 'karas'; use one of trailing, leading"):
        timestep_grid(LINEAR, 5, "karas")
