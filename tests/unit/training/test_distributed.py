"""Two processes with batch B train like one with batch 2B (gloo, real launches)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

# the histories of 2 buckets fill in the first step, from both processes' terms
BY_IMPORTANCE = [
    *("--objective.loss", "vlb", "--objective.timesteps", "importance"),
    *("--objective.buckets", "2", "--objective.history", "1"),
]


def launch(processes: int, script: str, arguments: list[str], folder: Path) -> list[float]:
    """Losses per step of `accelerate launch --cpu --num_processes N script ...`."""
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch", "--cpu"),
        *("--num_processes", str(processes), "--num_machines", "1", "--mixed_precision", "no"),
        *("--dynamo_backend", "no", "--main_process_port", "0"),
        *(str(ROOT / "scripts" / script), *arguments, "--run-dir", str(folder)),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment |= {"ACCELERATE_USE_CPU": "true"}
    environment |= {"HF_HOME": str(folder.parent / "hf")}  # not the user's own accelerate config
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=900, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row["loss"] for row in map(json.loads, lines) if "loss" in row]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "flags"),
    [
        ("train.py", []),
        ("train.py", BY_IMPORTANCE),
        ("train_clip.py", []),
        ("train_clip.py", ["--train.encoder-batch-size", "1"]),
        ("train_clip.py", ["--loss.kind", "sigmoid"]),
    ],
    ids=["unet", "unet by importance", "clip", "clip in groups", "clip by sigmoid"],
)
def test_two_processes_give_the_curve_of_one_with_twice_the_batch(
    tmp_path, configs, shapes, tiny_clip, script, flags
):
    if script == "train.py":
        arguments = ["--config", str(configs / "unet.yaml"), "--clip", str(tiny_clip), *flags]
    else:
        arguments = ["--config", str(configs / "clip.yaml"), *flags]
    arguments += ["--data.source", str(shapes), "--train.steps", "5", "--train.log-every", "1"]
    one = launch(1, script, [*arguments, "--train.batch-size", "4"], tmp_path / "one")
    two = launch(2, script, [*arguments, "--train.batch-size", "2"], tmp_path / "two")
    assert len(one) == 5
    assert one[0] != pytest.approx(one[-1], rel=1e-3)  # it learned: the curve says something
    assert two == pytest.approx(one, rel=2e-4)
