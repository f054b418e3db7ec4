"""A finished run says where everything lies, what comes next, and how it would go on."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.helpers.command import settings_of
from textdiff.commands.cli import run
from textdiff.training.closing import how_to_continue
from textdiff.training.config import TrainConfig
from textdiff.training.progress import Progress


@pytest.fixture
def said(configs, shapes, tiny_clip, tiny_run, noised_flags, tmp_path, capsys):
    """What each training command says of its run in a folder of this name."""

    def said(kind: str, folder: Path) -> str:
        flags = {
            "clip": ["train-clip", "--config", configs / "clip.yaml", "--data", shapes],
            "unet": [*("train", "--config", configs / "unet.yaml", "--data", shapes),
                     "--clip", tiny_clip],
            "noised": ["finetune-clip", *noised_flags, "--train.steps", "1"],
        }[kind]  # fmt: skip
        capsys.readouterr()
        run([*map(str, flags), "--run-dir", str(folder)])
        return capsys.readouterr().out

    return said


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clip", "unet", "noised"])
def test_what_is_named_is_there_and_what_is_proposed_can_be_typed(kind, said, tmp_path):
    folder = tmp_path / "a run"
    first, again = said(kind, folder), said(kind, folder)
    assert re.search(r"^finished at step \d+ after 0\.\d minutes$", first, re.MULTILINE)
    assert "is finished at step" in again
    for text in (first, again):
        places, commands = text.split(f"In {folder}:\n")[1].split("Next:\n")
        names = [line.split()[0] for line in places.splitlines()]
        assert {"metrics.jsonl", "config.yaml"} < set(names)
        assert all((folder / name).exists() for name in names)
        for line in commands.splitlines():
            command = shlex.split(line, comments=True)
            assert command[0] == "textdiff"
            assert settings_of(command[1:])


@pytest.mark.slow
def test_the_finished_run_goes_on_as_it_says(tiny_clip, configs, shapes, tmp_path, capsys):
    folder = shutil.copytree(tiny_clip, tmp_path / "run")
    flags = ["--config", str(configs / "clip.yaml"), "--data", str(shapes)]
    flags = ["train-clip", *flags, "--run-dir", str(folder)]
    capsys.readouterr()
    run(flags)
    printed = capsys.readouterr().out
    assert "train.steps 4 are done; to continue it, give more, e.g. --train.steps 8" in printed
    run([*flags, "--train.steps", "8"])
    assert (folder / "checkpoints" / "step-000008").is_dir()


@pytest.mark.parametrize(
    ("config", "step", "seconds", "said"),
    [
        ({"steps": 9}, 9, 600, "train.steps 9 are done; {} --train.steps 18"),
        (
            {"steps": 9, "max_minutes": 8}, 9, 300,
            "train.steps 9 are done; {} --train.steps 18 --train.max-minutes 16",
        ),
        ({"steps": 9, "max_minutes": 80}, 9, 300, "train.steps 9 are done; {} --train.steps 18"),
        (
            {"steps": 9000, "max_minutes": 0.8}, 90, 48,
            "train.max_minutes 0.8 are over; {} --train.max-minutes 1.6",
        ),
    ],
)  # fmt: skip
def test_the_limit_that_ended_the_run_is_the_one_to_raise(config, step, seconds, said):
    found = how_to_continue(TrainConfig(**config), Progress(step=step, seconds=seconds))
    assert found == said.format("to continue it, give more, e.g.")
