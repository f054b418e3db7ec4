"""A refused resume names the settings that differ, never two hashes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.shapes import write_shapes
from textdiff.commands.cli import run
from textdiff.errors import CheckpointError


@pytest.fixture
def refused(configs, tmp_path):
    """What is said when the run is continued with other flags, or after its data changed."""
    shapes = write_shapes(tmp_path / "shapes")

    def train(*flags: str) -> None:
        usual = ["--config", str(configs / "clip.yaml"), "--data.source", str(shapes)]
        usual += ["--train.steps", "1", "--run-dir", str(tmp_path / "run")]
        run(["train-clip", *usual, *flags])

    train()

    def refused(*flags: str, change=lambda folder: None) -> str:
        change(shapes)
        with pytest.raises(CheckpointError) as error:
            train(*flags)
        return str(error.value).partition("step-000001 was ")[2]

    return refused


TAIL = "; set it back or name another --run-dir"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--data.resize", "pad"], "data.resize = crop, now it is pad"),
        (["--data.max-images", "12"], "data.max_images = None, now it is 12"),
        (["--split", "all"], "split = train, now it is all"),
        (["--seed", "1"], "seed = 0, now it is 1"),
        (["--clip.image.heads", "4"], "clip.image.heads = 2, now it is 4"),
        (
            ["--max-shift", "1", "--seed", "1"],
            "max_shift = 0, now it is 1; seed = 0, now it is 1",
        ),
    ],
)
def test_settings_are_named(refused, flags, said):
    assert refused(*flags) == f"trained with {said}{TAIL}"


@pytest.mark.slow
def test_another_start_is_named(refused, tiny_clip):
    said = f"trained with another CLIP than --init names now{TAIL}"
    assert refused("--init", str(tiny_clip)) == said


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]


def write_rows(folder: Path, rows: list[dict]) -> None:
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))


@pytest.mark.slow
def test_changed_captions_are_said(refused):
    def change(folder: Path) -> None:
        rows = rows_of(folder)
        rows[0]["text"] = "a red disc"
        write_rows(folder, rows)

    assert refused(change=change) == f"trained with other captions of the same images{TAIL}"


@pytest.mark.slow
def test_another_number_of_images_is_said(refused):
    def change(folder: Path) -> None:
        first, *others = rows_of(folder)
        (folder / first["file_name"]).unlink()
        write_rows(folder, others)

    said = "other data: the split had 8 images, now it has 7, not all of the same names"
    assert refused(change=change) == f"trained with {said}{TAIL}"


@pytest.mark.slow
def test_a_folder_that_moved_is_the_same_data(configs, tmp_path):
    shapes = write_shapes(tmp_path / "shapes")
    flags = ["--config", str(configs / "clip.yaml"), "--run-dir", str(tmp_path / "run")]
    run(["train-clip", *flags, "--train.steps", "1", "--data.source", str(shapes)])
    moved = shutil.move(shapes, tmp_path / "moved")
    run(["train-clip", *flags, "--train.steps", "2", "--data.source", str(moved)])
