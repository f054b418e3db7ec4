"""Precision, recall, density and coverage against their definitions in plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textdiff.errors import DataError
from textdiff.metrics import neighbourhood, neighbours, tiles
from textdiff.metrics.neighbours import squared_radii


def sets(n: int, m: int, dim: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(rows, dim, generator=rng) for rows in (n, m))
    return 0.8 * x + 0.5, y


def by_loops(x: list[list[float]], y: list[list[float]], k: int) -> dict[str, float]:
    def radius(rows, i):
        return sorted(math.dist(rows[i], rows[j]) for j in range(len(rows)) if j != i)[k - 1]

    drawn_balls = [(a, radius(x, i)) for i, a in enumerate(x)]
    real_balls = [(b, radius(y, j)) for j, b in enumerate(y)]
    inside = [sum(math.dist(a, b) <= r for b, r in real_balls) for a in x]
    recalled = [any(math.dist(a, b) <= r for a, r in drawn_balls) for b in y]
    covered = [any(math.dist(a, b) <= r for a in x) for b, r in real_balls]
    return {
        "precision": sum(count > 0 for count in inside) / len(x),
        "recall": sum(recalled) / len(y),
        "density": sum(inside) / (k * len(x)),
        "coverage": sum(covered) / len(y),
    }


def values(x: torch.Tensor, y: torch.Tensor, k: int) -> dict[str, float]:
    found = neighbourhood(x, y, k).estimates(resamples=2)
    return {name: estimate.value for name, estimate in found.items()}


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(6, 20), st.integers(6, 20), st.integers(1, 5))
def test_definitions_in_loops(seed, n, m, k):
    x, y = sets(n, m, seed=seed)
    assert values(x, y, k) == pytest.approx(by_loops(x.tolist(), y.tolist(), k))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_rows_on_a_grid_which_tie_and_repeat(seed, k):
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randint(3, (9, 2), generator=rng).float() for _ in range(2))
    assert values(x, y, k) == pytest.approx(by_loops(x.tolist(), y.tolist(), k))


def test_tiles_change_nothing(monkeypatch):
    x, y = sets(45, 38)
    whole = neighbourhood(x, y, 3)
    monkeypatch.setattr(tiles, "TILE", 7)
    tiled = neighbourhood(x, y, 3)
    for name in ("precise", "density", "recalled", "covered"):
        assert torch.equal(getattr(tiled, name), getattr(whole, name))


def test_a_set_beside_itself_is_precise_and_covered():
    x, _ = sets(40, 1)
    found = values(x, x.clone(), 5)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
    assert found["density"] >= 1  # a picture also lies in its own ball


def test_equal_rows_of_any_length_lie_in_balls_of_radius_zero():
    """Where |x|^2 + |y|^2 - 2 x.y rounds to a little above 0."""
    row = torch.randn(1, 257, generator=torch.Generator().manual_seed(0)) * 1e3
    found = neighbourhood(row.expand(4, 257), row.expand(5, 257), 3)
    assert squared_radii(row.expand(4, 257), 3).tolist() == [0] * 4
    assert found.precise.all() and found.recalled.all() and found.covered.all()
    assert found.density.tolist() == pytest.approx([5 / 3] * 4)


def test_sets_far_apart_have_nothing_in_common():
    x, y = sets(20, 30)
    assert set(values(x + 100, y, 5).values()) == {0}


def test_lost_modes_lower_recall_and_coverage_alone():
    rng = torch.Generator().manual_seed(0)
    real = torch.randn(400, 2, generator=rng)
    real[200:] += 20
    drawn = torch.randn(400, 2, generator=rng)
    found = values(drawn, real, 5)
    assert found["precision"] > 0.9 and found["density"] > 0.8
    assert found["recall"] < 0.55 and found["coverage"] < 0.55


@pytest.mark.parametrize(("group", "name"), [(1, "precision"), (4, "density")])
def test_intervals_hold_the_number(group, name):
    x, y = sets(80, 60)
    found = neighbourhood(x, y).estimates(group)
    assert found[name].low < found[name].value < found[name].high
    assert found["coverage"].low < found["coverage"].value < found["coverage"].high


def test_pictures_of_a_prompt_are_resampled_together():
    """Four times each picture is no more knowledge: the spread is that of a quarter as many."""
    x, y = sets(50, 60)
    found = neighbourhood(x, y, 3)
    wider = neighbours.Neighbourhood(
        found.precise.repeat_interleave(4),
        found.density.repeat_interleave(4),
        found.recalled,
        found.covered,
    )
    expected, same = found.estimates()["density"], wider.estimates(group=4)["density"]
    assert same.std_error == pytest.approx(expected.std_error)


def test_prdc_where_it_is_installed():
    """Naeem et al.'s own code; its balls are open, which no draw from a density tells apart."""
    prdc = pytest.importorskip("prdc")
    x, y = sets(200, 150, dim=16)
    assert values(x, y, 5) == pytest.approx(prdc.compute_prdc(y.numpy(), x.numpy(), 5))


@pytest.mark.parametrize(
    ("n", "m", "complaint"),
    [(3, 9, "3 drawn pictures, none of which has 3"), (9, 2, "2 real pictures, .* give 4 or more")],
)
def test_too_few_for_neighbours(n, m, complaint):
    with pytest.raises(DataError, match=complaint):
        neighbourhood(*sets(n, m), 3)
