"""A run that was stopped, however often, ends as one that never was: bit by bit and row by row.

The whole loop, on a network of a few weights: what a stop may lose is the loop's. Commands that are
killed: test_kills.py.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.helpers.paths import ROOT
from textdiff.config import Settings
from textdiff.data import DataConfig, open_data
from textdiff.errors import StoppedBySignalError
from textdiff.stopping import Interrupted
from textdiff.training import loop
from textdiff.training.config import TrainConfig
from textdiff.training.launch import accelerator_for
from textdiff.training.loop import Trainer
from textdiff.training.run_folder import RunFolder
from textdiff.training.signals import Stop
from textdiff.types import Batch

STEPS = 40


class Brightness:
    """How bright pictures are, by a network with dropout; it remembers how often it was updated."""

    name = "brightness"
    interrupted: tuple[int, ...] = ()  # steps whose evaluation a signal meets

    def __init__(self) -> None:
        torch.manual_seed(0)
        layers = torch.nn.Linear(3, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1)
        self.model, self.updates = torch.nn.Sequential(*layers), torch.zeros(1)

    def losses(self, model: torch.nn.Module, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        colours = batch.image.float().mean((2, 3)) / 255
        values = {"loss": (model(colours)[:, 0] - colours.mean(1)).square()}
        return values | ({"seldom": values["loss"] * 2} if step % 3 == 0 else {})

    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        held_out = float(self.model(torch.ones(1, 3)))
        if step in self.interrupted:
            type(self).interrupted = tuple(each for each in self.interrupted if each != step)
            raise Interrupted(15)
        return {"held_out": held_out}

    def state(self) -> dict[str, torch.Tensor]:
        return {"updates": self.updates}

    def after_update(self) -> None:
        self.updates += 1


@pytest.fixture
def train(shapes, tmp_path) -> Callable[..., None]:
    """Starts the run in tmp_path / "run" as its command does, or lets it go on."""
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")

    def start(steps: int = STEPS, **settings) -> None:
        # nothing falls on the same step often, and only a stop saves
        every = {"log_every": 7, "eval_every": 5, "checkpoint_every": 1000}
        usual = {"batch_size": 2, "precision": "no", "workers": 0, "lr": 1e-2, "warmup_steps": 3}
        config = TrainConfig(steps=steps, **{**every, **usual, **settings}, schedule="cosine")
        run = RunFolder(tmp_path / "run")
        trainer = Trainer(
            task=Brightness(),
            data=data,
            config=config,
            accelerator=accelerator_for("no"),
            run=run,
            seed=0,
            ema_decay=0.9,
            fixed={},
        )
        trainer.resume("auto")
        run.path.mkdir(exist_ok=True)
        evaluated = not trainer.progress.unevaluated
        run.start(Settings(), trainer.progress.step, tensorboard=False, evaluated=evaluated)
        if not trainer.finished:
            trainer.train()

    return start


@pytest.fixture
def differing(monkeypatch) -> Callable[[Path, Path], list[str]]:
    """Files of two run folders that are not the same, but for what a clock said, and for the
    checkpoints of stops."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    kills = importlib.import_module("crash_kills")

    def compare(made: Path, expected: Path) -> list[str]:
        different, more = kills.differing(kills.fingerprint(expected), kills.fingerprint(made))
        stops = {f"checkpoints/step-{step:06d}" for step in range(1, STEPS)}
        return [*different, *(name for name in more if name.rpartition("/")[0] not in stops)]

    return compare


@pytest.fixture
def stopped(monkeypatch) -> Callable[[int], None]:
    """Sets when a process is asked to stop: the how manieth time that it looks; 0: never. It looks
    once before an evaluation that comes before its first step, and after each step."""
    wanted = SimpleNamespace(looks=0)

    class Scheduled(Stop):
        looks = 0

        @property
        def received(self) -> bool:
            self.looks += 1
            return self.looks == wanted.looks

    @contextmanager
    def scheduled() -> Iterator[Stop]:
        yield Scheduled()

    monkeypatch.setattr(loop, "stop_on_signal", scheduled)

    def set_looks(looks: int) -> None:
        wanted.looks = looks

    return set_looks


def until_it_ends(train: Callable[..., None], **settings) -> int:
    """Goes on after each stop; how many there were."""
    for stops in range(10 * STEPS):
        try:
            train(**settings)
        except StoppedBySignalError:
            continue
        return stops
    raise AssertionError("it never ended")


def uninterrupted(train: Callable[..., None], folder: Path, **settings) -> Path:
    train(**settings)
    return (folder / "run").rename(folder / "expected")


def test_it_may_be_stopped_at_every_step(tmp_path, train, stopped, differing):
    expected = uninterrupted(train, tmp_path)
    for step in range(1, STEPS + 1):
        stopped(step + 1)  # the first look comes before the first evaluation
        with pytest.raises(StoppedBySignalError, match=f"at step {step}; saved"):
            train()
        stopped(0)
        train()
        assert differing(tmp_path / "run", expected) == []
        (tmp_path / "run").rename(tmp_path / f"stopped at {step}")


def test_it_may_be_stopped_after_every_step(tmp_path, train, stopped, differing):
    """One or two steps in each process, so that several begin a row of metrics; of accumulation."""
    expected = uninterrupted(train, tmp_path, accumulation=4)
    stopped(2)
    assert until_it_ends(train, accumulation=4) >= STEPS / 2
    assert differing(tmp_path / "run", expected) == []


def test_rows_are_those_of_every_window_and_evaluation(tmp_path, train, stopped):
    """What the two above compare is all that there should be."""
    stopped(3)
    until_it_ends(train)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert [row["step"] for row in rows if "loss" in row] == [*range(7, STEPS, 7), STEPS]
    assert [row["step"] for row in rows if "held_out" in row] == [*range(0, STEPS + 1, 5)]


@pytest.mark.parametrize("stops_at", [3, 17])
@pytest.mark.slow
def test_workers_had_read_ahead(tmp_path, train, stopped, differing, stops_at):
    expected = uninterrupted(train, tmp_path)
    stopped(stops_at + 1)
    with pytest.raises(StoppedBySignalError):
        train(workers=2)
    stopped(0)
    train(workers=2)
    assert differing(tmp_path / "run", expected) == []


def test_an_evaluation_that_a_signal_meets_is_made_by_the_next_process(
    tmp_path, train, differing, monkeypatch
):
    """Before the first step, in between, and after the last."""
    expected = uninterrupted(train, tmp_path)
    monkeypatch.setattr(Brightness, "interrupted", (0, 5, STEPS))
    assert until_it_ends(train) == 3
    assert Brightness.interrupted == ()
    assert differing(tmp_path / "run", expected) == []


def test_an_evaluation_that_was_made_and_not_saved_leaves_no_second_row(
    tmp_path, train, stopped, differing, monkeypatch
):
    """Killed right after it: the first time before any checkpoint, then after one that says that
    it is due."""
    expected = uninterrupted(train, tmp_path)
    evaluate, killed = loop.evaluate, []

    class KilledError(Exception):
        """Stands for a signal that no process survives."""

    def then_killed(task, run, step, **options):
        made = evaluate(task, run, step, **options)
        if step not in killed:
            killed.append(step)
            raise KilledError
        return made

    monkeypatch.setattr(loop, "evaluate", then_killed)
    with pytest.raises(KilledError):
        train()
    stopped(1 + 5)
    with pytest.raises(StoppedBySignalError, match="at step 5"):
        train()
    stopped(0)
    for step in (5, 10, 15):
        with pytest.raises(KilledError):
            train()
        assert killed[-1] == step
    monkeypatch.setattr(loop, "evaluate", evaluate)
    train()
    assert differing(tmp_path / "run", expected) == []
