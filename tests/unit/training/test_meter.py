"""What is shown of a run: one honest clock, and lines that a file can hold."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

import pytest

from tests.helpers.command import textdiff
from textdiff.training import meter, progress
from textdiff.training.config import TrainConfig
from textdiff.training.meter import Meter, shown_time
from textdiff.training.progress import Progress
from textdiff.training.run_folder import RunFolder


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(meter, "time", clock)
    monkeypatch.setattr(progress, "time", clock)
    return clock


def run_of(folder, clock: Clock, config: TrainConfig, steps: int, pace: float) -> None:
    """`steps` steps of `pace` seconds each, the last of which ends the run."""
    at = Progress(started=clock.now)
    accelerator = SimpleNamespace(is_main_process=True, num_processes=1)
    run = RunFolder(folder)
    with Meter(name="clip", config=config, progress=at, run=run, accelerator=accelerator) as shown:
        for step in range(1, steps + 1):
            clock.now += pace
            at.step = step
            shown.add({"loss": 2.0}, flush=step == steps)


def test_without_a_terminal_there_is_a_plain_line_every_half_a_minute(tmp_path, clock, capsys):
    run_of(tmp_path, clock, TrainConfig(steps=100, log_every=10), steps=100, pace=1.0)
    printed, err = capsys.readouterr()
    assert err == ""
    assert printed.splitlines() == [
        "training clip: 30%, step 30 of 100, 70 s left, loss 2.0000, 64 images/s",
        "training clip: 60%, step 60 of 100, 40 s left, loss 2.0000, 64 images/s",
        "training clip: 90%, step 90 of 100, 10 s left, loss 2.0000, 64 images/s",
        "training clip: 100%, step 100 of 100, loss 2.0000, 64 images/s",
    ]


def test_a_run_that_ends_by_the_clock_counts_by_the_clock(tmp_path, clock, capsys):
    """The bar counted steps and ended at 57%."""
    config = TrainConfig(steps=1000, max_minutes=2, log_every=10)
    run_of(tmp_path, clock, config, steps=120, pace=1.0)
    assert capsys.readouterr().out.splitlines() == [
        "training clip: 25%, step 30, 2 min left, loss 2.0000, 64 images/s",
        "training clip: 50%, step 60, 60 s left, loss 2.0000, 64 images/s",
        "training clip: 75%, step 90, 30 s left, loss 2.0000, 64 images/s",
        "training clip: 100%, step 120, loss 2.0000, 64 images/s",
    ]


def test_on_a_terminal_there_is_a_bar_that_ends_full(tmp_path, clock, capsys, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    config = TrainConfig(steps=1000, max_minutes=2, log_every=10)
    run_of(tmp_path, clock, config, steps=120, pace=1.0)
    assert capsys.readouterr().out == ""
    shown = [line for line in re.split(r"[\r\n]", terminal.getvalue()) if "step" in line]
    assert any(" 50%|" in line and "step 60, 60 s left" in line for line in shown)
    assert "100%|" in shown[-1]
    assert shown[-1].rstrip().endswith("step 120, loss 2.0000, 64 images/s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5000, "83 min"), (9000, "2.5 h")],
)
def test_times_are_short(seconds, text):
    assert shown_time(seconds) == text


@pytest.mark.slow
def test_a_file_gets_no_carriage_returns_and_numbers_in_words(configs, shapes, tmp_path):
    flags = ["--config", configs / "clip.yaml", "--data", shapes, "--run-dir", tmp_path / "run"]
    done = textdiff("train-clip", *flags)
    assert done.returncode == 0, done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert re.search(r"training clip: 100%, step 4 of 4, loss \d\.\d{4}, \d+ images/s", done.stdout)
    direction = r"R@1 \d+\.\d%, R@5 100\.0%, R@10 100\.0% \(chance R@1 25\.0%\)"
    assert re.search(
        rf"^step 4, held out: image to text {direction}; text to image {direction}$",
        done.stdout, re.MULTILINE,
    )  # fmt: skip


def test_held_out_numbers_of_every_task_are_put_in_words():
    from textdiff.training.task import InWords
    from textdiff.training.tasks.binary import BinaryTask
    from textdiff.training.tasks.contrastive import ContrastiveTask
    from textdiff.training.tasks.diffusion import DiffusionTask
    from textdiff.training.tasks.noised_clip import NoisedClipTask

    quarters = {f"held_out/eps_mse_q{q}": 0.1 / q for q in range(1, 5)} | {"held_out/eps_mse": 0.05}
    assert DiffusionTask.in_words(None, quarters) == (
        "squared error of the noise 0.0500 (from the least noisy quarter: "
        "0.1000 0.0500 0.0333 0.0250)"
    )
    noised = {"held_out/R@1_t0": 0.5, "held_out/R@5_t0": 0.75, "held_out/R@5_t25": 0.5}
    assert NoisedClipTask.in_words(None, {**noised, "held_out/chance_R@5": 0.125}) == (
        "image to text R@5 at t 0: 75.0%, t 25: 50.0% (chance 12.5%)"
    )
    assert issubclass(BinaryTask, InWords)
    assert issubclass(ContrastiveTask, InWords)


def test_who_watches_the_pace_sees_steps_without_pictures_and_checkpoints(tmp_path, clock):
    seen, lines = [], []

    class Watch:
        def see(self, seconds: float, now: float) -> str | None:
            seen.append((seconds, now))
            return "slow" if seconds > 2 else None

    def pictures():
        for seconds in (7.0, 8.0, 9.0):
            clock.now += seconds
            yield seconds

    accelerator = SimpleNamespace(is_main_process=True, num_processes=1, print=lines.append)
    meter = Meter(
        name="clip",
        config=TrainConfig(steps=50),
        progress=Progress(step=1, started=clock.now),
        run=RunFolder(tmp_path),
        accelerator=accelerator,
        pace=Watch(),
    )
    for pace, _ in zip((1.0, 2.0, 3.0), meter.loading(pictures()), strict=False):
        clock.now += pace
        meter.add({"loss": 2.0}, flush=False)
        with meter.paused():
            clock.now += 50
    assert seen == [(1.0, 108.0), (2.0, 168.0), (3.0, 230.0)]
    assert lines == ["slow"]
