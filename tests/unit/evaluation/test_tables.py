"""Tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from textdiff.evaluation.tables import estimate_cells, print_estimates, print_facts, with_interval
from textdiff.metrics.bootstrap import Estimate

HALF, FIFTH = Estimate(0.5, 0.25, 0.75, 0.95, 1000), Estimate(0.2, 0.1, 0.3, 0.95, 1000)


class Rates:
    """A result of two estimates."""

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        yield "drawn", HALF
        yield "real", FIFTH


def test_an_estimate_in_cells():
    assert estimate_cells("drawn", HALF, ".1%") == ["drawn", "50.0%", "25.0% to 75.0%"]
    assert estimate_cells("drawn", HALF, ".2f") == ["drawn", "0.50", "0.25 to 0.75"]


def test_an_estimate_with_its_interval_in_one_cell():
    assert with_interval(Estimate(0.5, 0.4, 0.6, 0.95, 1000), 100, ".0f") == "50 (40 to 60)"
    assert (
        with_interval(Estimate(0.05, -0.05, 0.15, 0.95, 1000), 100, "+.1f")
        == "+5.0 (-5.0 to +15.0)"
    )


def test_a_row_per_estimate(capsys):
    columns = {"quantity": "rate", "digits": ".0%", "column": "chance"}
    print_estimates("Rates of shapes", Rates(), **columns, cells=["1%", "2%"])
    title, *lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in lines]
    assert title.strip() == "Rates of shapes"
    assert ["drawn", "50%", "25% to 75%", "1%"] in rows
    assert ["real", "20%", "10% to 30%", "2%"] in rows
    assert all(word in lines[1] for word in ("rate", "95% interval", "chance"))


def test_each_estimate_needs_its_cell():
    with pytest.raises(ValueError, match="shorter"):
        print_estimates("", Rates(), quantity="", digits="", column="", cells=["1%"])


def test_a_row_per_fact(capsys):
    print_facts("shapes", [("images", "16"), ("splits", "train 8")])
    shown = capsys.readouterr().out
    (row,) = (line for line in shown.splitlines() if "splits" in line)
    assert "train 8" in row
