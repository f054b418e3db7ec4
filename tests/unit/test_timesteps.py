"""A timestep that all rows share is known without reading it from the tensor."""

from __future__ import annotations

import torch

from textdiff.timesteps import (
    distinct_timesteps,
    known_timestep,
    shared_timestep,
    single_timestep,
)


def test_a_shared_timestep_is_as_if_it_were_filled():
    timestep = shared_timestep(7, 3, "cpu")
    torch.testing.assert_close(timestep, torch.full((3,), 7), rtol=0, atol=0)
    assert known_timestep(timestep) == 7


def test_what_is_known_is_not_read():
    """The meta device holds no values: reading one fails."""
    timestep = shared_timestep(7, 3, "meta")
    assert distinct_timesteps(timestep) == {7}
    assert single_timestep(timestep) == 7


def test_rows_of_unknown_origin_are_read():
    timestep = torch.tensor([5, 2, 5])
    assert known_timestep(timestep) is None
    assert distinct_timesteps(timestep) == {2, 5}
    assert single_timestep(timestep) == 5


def test_what_is_made_of_a_shared_timestep_is_of_unknown_origin():
    timestep = shared_timestep(7, 3, "cpu")
    assert known_timestep(timestep + 1) is None
    assert distinct_timesteps(torch.cat([timestep, timestep + 1])) == {7, 8}
