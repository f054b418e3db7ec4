"""Which values stand in which chart."""

from __future__ import annotations

from textdiff.evaluation.report.charts import learning
from textdiff.evaluation.report.document import Charts, Missing
from textdiff.evaluation.report.log import Log


def charts(log: Log) -> dict[str, list[str]]:
    """Names of the curves by title of the chart, faint ones in brackets."""
    (block,) = learning(log).section.blocks
    assert isinstance(block, Charts)
    return {
        chart.title: [f"({line.name})" if line.faint else line.name for line in chart.plot.lines]
        for chart in block.charts
    }


def test_each_value_stands_in_its_chart():
    curves = {
        "held_out/below_mean": [(0, 0.1), (9, 0.8)],
        "loss": [(1, 3.0)],
        "unheard of": [(1, 1)],
    }
    assert charts(Log(curves, 0)) == {
        "Training loss": ["loss"],
        "Nearer than the mean picture": ["held-out pictures"],
    }


def test_many_points_are_smoothed_and_stay_behind_faintly():
    assert charts(Log({"loss": [(k, 1 / (k + 1)) for k in range(60)]}, 0)) == {
        "Training loss": ["(loss)", "loss"]
    }


def test_names_made_by_a_pattern():
    curves = {f"held_out/R@5_t{t}": [(0, 0.5)] for t in (0, 99)} | {"held_out/chance_R@5": [(0, 0)]}
    assert charts(Log(curves, 0)) == {
        "Held-out retrieval under noise, R@5": ["t = 0", "t = 99", "chance"]
    }


def test_no_log_is_said_with_what_writes_one():
    (block,) = learning(None).section.blocks
    assert isinstance(block, Missing)
    assert "no metrics.jsonl" in block.why
    (block,) = learning(Log({}, 0)).section.blocks
    assert "no values" in block.why


def test_lines_that_cannot_be_read_are_counted():
    blocks = learning(Log({"loss": [(1, 1)]}, 2)).section.blocks
    assert "2 lines" in blocks[-1].why
