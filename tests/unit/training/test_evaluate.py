"""One evaluation: whose weights are asked what, and what is logged and said."""

from __future__ import annotations

import json

import pytest
import torch

from textdiff.training.ema import EMA
from textdiff.training.evaluate import evaluate
from textdiff.training.run_folder import RunFolder


class Task:
    """Its numbers are its one weight."""

    name = "number"

    def __init__(self, weight: float = 4.0) -> None:
        self.model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(self.model.weight, weight)

    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        return {"held_out/number": self.model.weight.item()}

    def examine(self) -> dict[str, float]:
        return {"examined": self.model.weight.item()}

    def quick_loss(self) -> float | None:
        return self.model.weight.item()

    def verdict(self, values: dict[str, float], step: int) -> list[str]:
        return ["fine", "look at it"]


def logged(folder) -> dict[str, float]:
    (line,) = (folder / "metrics.jsonl").read_text().splitlines()
    return json.loads(line)


def averaged_at(task: Task, value: float) -> EMA:
    ema = EMA(task.model, 0.9)
    ema.averages["weight"].fill_(value)
    return ema


def test_the_average_is_examined_and_compared_with_the_raw_weights(tmp_path, capsys):
    task = Task(4.0)
    evaluate(task, RunFolder(tmp_path), 7, ema=averaged_at(task, 3.0), examine=True)
    values = logged(tmp_path)
    assert values["held_out/number"] == values["examined"] == 3.0
    assert values["average/ahead"] == pytest.approx(0.25)
    assert values["examination_seconds"] >= 0
    assert task.model.weight.item() == 4.0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("step 7, held out: held_out/number 3, examined 3")
    assert said[1:] == ["step 7, fine", "  look at it"]


def test_without_an_average_there_is_nothing_to_compare(tmp_path):
    evaluate(Task(), RunFolder(tmp_path), 7, ema=None, examine=True)
    assert "average/ahead" not in logged(tmp_path)
    assert logged(tmp_path)["examined"] == 4.0


def test_an_evaluation_that_may_not_examine_does_not(tmp_path):
    task = Task()
    evaluate(task, RunFolder(tmp_path), 7, ema=averaged_at(task, 3.0), examine=False)
    assert logged(tmp_path) == {"step": 7, "held_out/number": 3.0}
