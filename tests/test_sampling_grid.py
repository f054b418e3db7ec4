"""timestep_grid: golden grids, the ends of each spacing, and what is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import golden
from textdiff.sampling import timestep_grid

RESPACED = [c for c in golden("schedules")["cases"] if "spacing" in c["inputs"]]
SPACINGS = ["trailing", "leading", "linspace"]


@pytest.mark.parametrize("case", RESPACED, ids=lambda case: case["id"])
def test_golden_grid(case):
    inputs = case["inputs"]
    grid = timestep_grid(inputs["num_train_timesteps"], inputs["num_steps"], inputs["spacing"])
    assert grid.tolist() == case["outputs"]["timesteps_ascending"]


@pytest.mark.parametrize("file", ["ancestral", "ddim"])
def test_golden_trailing_grids_that_do_not_divide_evenly(file):
    listed = [c["inputs"] for c in golden(file)["cases"] if "trailing" in c["id"]]
    listed = [inputs for inputs in listed if "timesteps" in inputs]
    assert listed
    for inputs in listed:
        grid = timestep_grid(inputs["num_train_timesteps"], len(inputs["timesteps"]))
        assert grid.flip(0).tolist() == inputs["timesteps"]


@given(
    st.sampled_from(SPACINGS),
    st.integers(2, 1000).flatmap(lambda T: st.tuples(st.just(T), st.integers(2, T))),
)
def test_grids_ascend_strictly_within_the_schedule(spacing, lengths):
    num_timesteps, num_steps = lengths
    grid = timestep_grid(num_timesteps, num_steps, spacing)
    assert (grid.dtype, len(grid)) == (torch.int64, num_steps)
    assert (grid.diff() > 0).all()
    assert grid[0] >= 0
    assert grid[-1] < num_timesteps


@pytest.mark.parametrize(
    ("spacing", "ends"), [("trailing", (332, 999)), ("leading", (0, 666)), ("linspace", (0, 999))]
)
def test_ends(spacing, ends):
    grid = timestep_grid(1000, 3, spacing).tolist()
    assert (grid[0], grid[-1]) == ends


def test_half_rounds_to_even():
    assert timestep_grid(10, 4, "trailing").tolist() == [1, 4, 7, 9]  # 2.5 -> 2, 7.5 -> 8


@pytest.mark.parametrize("spacing", SPACINGS)
def test_all_steps_is_every_timestep(spacing):
    assert timestep_grid(7, 7, spacing).tolist() == list(range(7))


@pytest.mark.parametrize("spacing", ["trailing", "leading"])
def test_one_step(spacing):
    assert timestep_grid(1000, 1, spacing).tolist() == [999 if spacing == "trailing" else 0]


@pytest.mark.parametrize(
    ("num_steps", "spacing"),
    [(0, "trailing"), (11, "trailing"), (-1, "leading"), (11, "leading"), (1, "linspace")],
)
def test_num_steps_out_of_range_is_refused(num_steps, spacing):
    with pytest.raises(ValueError, match="num_steps must lie in"):
        timestep_grid(10, num_steps, spacing)


def test_unknown_spacing_is_refused():
    with pytest.raises(ValueError, match="unknown spacing 'karras'"):
        timestep_grid(10, 5, "karras")
