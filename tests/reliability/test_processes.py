"""A run may go on in another number of processes: the same samples and noise, other roundings."""

from __future__ import annotations

import json

import pytest

from tests.helpers.two_processes import run_in_two_processes
from textdiff.commands.cli import run

pytestmark = pytest.mark.slow


def test_from_one_to_two_and_back(tmp_path, configs, shapes, tiny_clip, capsys):
    def command(folder: str, steps: int, batch_size: int) -> list[str]:
        flags = ["--config", configs / "unet.yaml", "--data.source", shapes, "--clip", tiny_clip]
        length = ["--train.steps", steps, "--train.batch-size", batch_size]
        more = ["--train.log-every", "1", "--preview.num-prompts", "0"]
        return list(map(str, ["train", *flags, *length, *more, "--run-dir", tmp_path / folder]))

    def losses(folder: str) -> list[float]:
        lines = (tmp_path / folder / "metrics.jsonl").read_text().splitlines()
        return [row["loss"] for row in map(json.loads, lines) if "loss" in row]

    run(command("alone", steps=6, batch_size=4))
    run(command("moved", steps=2, batch_size=4))
    run_in_two_processes([command("moved", steps=4, batch_size=2)], tmp_path)
    capsys.readouterr()
    run(command("moved", steps=6, batch_size=4))
    said = capsys.readouterr().out
    assert "not to the bits of a run without a stop: processes 2 before, 1 now" in said
    assert len(losses("moved")) == 6
    assert losses("moved") == pytest.approx(losses("alone"), rel=2e-4)
