"""What the page says of a run folder, under way, finished, killed or empty."""

from __future__ import annotations

import json
import os
import time

import pytest

from textdiff.app.runs import QUIET, duration, read_run, stamp
from textdiff.errors import CheckpointError
from textdiff.evaluation.report.document import Charts, Missing, Timeline


def write_log(folder, *lines: dict) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def aged(folder, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder / "metrics.jsonl", (then, then))


CLIP = {
    "held_out/image_to_text_R@1": 0.5,
    "held_out/text_to_image_R@1": 0.7,
    "held_out/image_to_text_chance R@1": 0.1,
    "held_out/text_to_image_chance R@1": 0.1,
}


def test_a_finished_model_shows_curves_pictures_and_whether_it_learns(tiny_run):
    view = read_run(str(tiny_run))
    assert (view.kind, view.step, view.steps, view.judged) == ("text-to-image model", 6, 6, 6)
    assert view.state == "Step 6 of 6: finished."
    assert "nearer than the mean picture" in view.verdict[0]
    (charts,), (timeline,) = view.charts, view.timeline
    assert isinstance(charts, Charts) and charts.charts[0].title == "Training loss"
    assert isinstance(timeline, Timeline) and timeline.steps == [0, 3, 6]


def test_the_verdict_is_that_of_the_last_evaluation(tmp_path):
    worse = dict.fromkeys(CLIP, 0.1)
    write_log(
        tmp_path / "run", {"step": 10, **worse}, {"step": 20, **CLIP}, {"step": 30, "loss": 1}
    )
    view = read_run(str(tmp_path / "run"))
    assert (view.step, view.judged) == (30, 20)
    assert view.verdict == [
        "learning: held-out pictures find their caption 6.0 times as often as by chance"
    ]


@pytest.mark.parametrize(
    ("age", "said"),
    [(3, "Step 30, training; last line 3 s ago."), (2 * QUIET, "10 min: not training now.")],
)
def test_whether_it_is_under_way_is_told_by_its_log(tmp_path, age, said):
    write_log(tmp_path / "run", {"step": 30, "loss": 1})
    aged(tmp_path / "run", age)
    assert read_run(str(tmp_path / "run")).state.endswith(said)


def test_a_run_without_anything_yet_says_so(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text("train: {steps: 500}\n")
    view = read_run(str(folder))
    assert view.state == "Nothing logged yet."
    assert (view.steps, view.verdict, view.timeline) == (500, [], [])
    assert isinstance(view.charts[0], Missing)


@pytest.mark.parametrize("config", ["train: 3", "train: {steps: many}", "- a list", "{", "train:"])
def test_a_config_that_says_no_number_of_steps_is_no_error(tmp_path, config):
    write_log(tmp_path / "run", {"step": 30, "loss": 1})
    (tmp_path / "run" / "config.yaml").write_text(config)
    assert read_run(str(tmp_path / "run")).steps is None


def test_half_a_line_of_a_run_that_was_killed_is_passed_over(tmp_path):
    write_log(tmp_path / "run", {"step": 20, "loss": 1.0})
    with (tmp_path / "run" / "metrics.jsonl").open("a") as log:
        log.write('{"step": 30, "lo')
    view = read_run(str(tmp_path / "run"))
    assert view.step == 20
    assert "1 lines of metrics.jsonl cannot be read" in view.charts[-1].why


def test_the_stamp_changes_with_every_line_and_picture_and_with_nothing_else(run_copy):
    before = stamp(str(run_copy))
    read_run(str(run_copy))
    assert stamp(str(run_copy)) == before
    with (run_copy / "metrics.jsonl").open("a") as log:
        log.write('{"step": 7, "loss": 1}\n')
    after_line = stamp(str(run_copy))
    assert after_line != before
    folder = run_copy / "samples" / "timeline"
    (folder / "step-000007.png").write_bytes((folder / "step-000006.png").read_bytes())
    assert stamp(str(run_copy)) != after_line


@pytest.mark.parametrize("ask", [read_run, stamp])
def test_a_folder_without_a_run_is_refused(tmp_path, ask):
    with pytest.raises(CheckpointError, match="has none of"):
        ask(str(tmp_path))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (7300, "2 h"), (90000, "1 day"), (2e5, "2 days")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words
