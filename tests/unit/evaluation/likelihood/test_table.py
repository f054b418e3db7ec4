"""Tables of bounds: a row per part, from the noisy end on."""

from __future__ import annotations

from dataclasses import replace

from tests.helpers.bounds import result_of
from textdiff.evaluation.likelihood.table import (
    about,
    bound_rows,
    how_to_measure_all,
    print_bounds,
)


def test_rows_run_from_the_noisy_end_to_the_total():
    bound = result_of("first").bounds["first"]
    rows = bound_rows(bound)
    assert [row[0] for row in rows] == [
        *("prior L_T", "t = 75..99", "t = 50..74", "t = 25..49", "t = 1..24"),
        *("sum over t >= 1", "L_0", "total"),
    ]
    total = bound.total
    assert rows[-1][1:] == [f"{total.value:.4f}", f"{total.low:.4f} to {total.high:.4f}"]


def test_a_table_per_kind_of_captions_and_one_of_differences(capsys):
    print_bounds(result_of("first", "none"), "shapes, split test")
    shown = capsys.readouterr().out
    assert "images of shapes, split test" in " ".join(shown.split())
    for title in ("captions: first", "captions: none", "Differences", "none - first"):
        assert title in shown
    what = "5 images of shapes, split test; variance fixed_large; 6 of 100 timesteps"
    assert shown.splitlines()[-1] == what


def test_a_process_without_variance_names_none():
    result = replace(result_of("first"), variance=None)
    assert about(result, "bits") == "5 images of bits; 6 of 100 timesteps"


def test_how_to_measure_what_was_left_out():
    result = result_of("first")
    part = replace(result, pictures=4, num_steps=100, timesteps_per_picture=50)
    assert how_to_measure_all(part, 4) == "--estimate none for all 100 timesteps: 2 times as long"
    assert "--limit none for all 12 images: 6 times as long" in how_to_measure_all(part, 12)
    whole = replace(part, timesteps_per_picture=100)
    assert how_to_measure_all(whole, 4) == ""
