"""Contrastive training of what has nothing to be told from is refused before it starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers.shapes import draw_shape
from textdiff.commands.cli import run
from textdiff.data import DataConfig, open_data
from textdiff.errors import DataError, UsageError
from textdiff.training.pairs import check_pairs


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three captioned images."""
    path = tmp_path / "images"
    path.mkdir()
    for colour in ("red", "green", "blue"):
        draw_shape(colour, "circle").save(path / f"{colour}.png")
        (path / f"{colour}.txt").write_text(f"{colour} circle")
    return path


def opened(folder: Path):
    return open_data(DataConfig(source=str(folder), image_size=16, max_bad_fraction=1), "all")


def train_clip(configs: Path, folder: Path, run_dir: Path, *more: str) -> None:
    flags = ["--config", str(configs / "clip.yaml"), "--data.source", str(folder)]
    run(["train-clip", *flags, "--run-dir", str(run_dir), "--split", "all", *more])


def remove(folder: Path, *colours: str) -> None:
    for colour in colours:
        (folder / f"{colour}.png").unlink()
        (folder / f"{colour}.txt").unlink()


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("more", [[], ["--train.accumulation", "8"]])
def test_a_batch_of_one_is_refused(configs, shapes, tmp_path, kind, more):
    flags = ["--train.batch-size", "1", "--loss.kind", kind, *more]
    with pytest.raises(UsageError, match=r"always 0; give 2 or more \(train.accumulation"):
        train_clip(configs, shapes, tmp_path / "run", *flags)
    assert not (tmp_path / "run").exists()


def test_one_picture_is_refused(configs, folder, tmp_path, capsys):
    remove(folder, "green", "blue")
    with pytest.raises(DataError, match=r"1 usable image in split 'all'; .* needs two or more"):
        train_clip(configs, folder, tmp_path / "run")
    assert "--train.batch-size 1" not in capsys.readouterr().out


def test_one_usable_picture_of_several_is_refused(folder):
    for colour in ("red", "blue"):
        (folder / f"{colour}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="1 usable image"):
        check_pairs(opened(folder))


def test_pictures_of_one_caption_are_refused(folder):
    for path in folder.glob("*.txt"):
        path.write_text("a circle")
    with pytest.raises(DataError, match="all 3 images of split 'all' have the caption 'a circle'"):
        check_pairs(opened(folder))


def test_two_pictures_are_enough(configs, folder, tmp_path, capsys):
    remove(folder, "green")
    train_clip(configs, folder, tmp_path / "run", "--train.steps", "1")
    assert "better: --train.batch-size 2" in capsys.readouterr().out


def test_pictures_that_cannot_be_used_do_not_count(folder):
    shutil.copy(folder / "red.txt", folder / "red.png")
    check_pairs(opened(folder))
