"""The tables of a sweep: rows, cells, lines below."""

from __future__ import annotations

from dataclasses import replace

from tests.helpers.sweeps import sweep, sweep_of_choices
from textdiff.evaluation.guidance.table import print_sweep


def printed(capsys, found) -> str:
    print_sweep(found)
    return " ".join(capsys.readouterr().out.split())


def test_tables_name_settings_baselines_and_the_front(capsys):
    text = printed(capsys, sweep())
    for words in ("unguided", "CFG 3 CLIP 2", "real pictures", "chance", "minus unguided"):
        assert words in text
    assert "guide: clip, clean CLIP at x_0" in text
    assert "on the Pareto front of R@1 and KID: unguided; CFG 3; CLIP 2; CFG 3 CLIP 2" in text


def test_costs_stand_in_order_beside_what_came_of_them(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = " ".join(printed(capsys, sweep_of_choices()).replace("│", " ").split())
    early = "CFG 3, best of 4 by noised CLIP, early (noised at 0.5) 12 0 6 30 (20 to 40) 300"
    final = "CFG 3, best of 4 by final clean CLIP (clip) 16 0 4 50 (40 to 60) 500"
    costs = text[text.index("Evaluations for one picture") :]
    assert 0 < costs.index("CFG 3 4 0 0") < costs.index(early) < costs.index(final)
    assert "minus same guidance, as many evaluations" in text
    assert "minus same CFG without CLIP" not in text


def test_files_without_costs_have_no_table_of_them(capsys):
    assert "Evaluations for one picture" not in printed(capsys, sweep())


def test_guides_of_merged_sweeps_are_named(capsys):
    guides = tuple(sweep(guide=name).protocol.guide for name in ("one", "two"))
    text = printed(capsys, replace(sweep(), guides=guides))
    assert "guide: one, clean CLIP at x_0" in text
    assert "guide: two, clean CLIP at x_0" in text
    assert "those drawn without CLIP is the first" in text
