"""Pictures that changed under their old names."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.helpers.damage import DAMAGE
from textdiff.commands.cli import run
from textdiff.data import DataConfig, open_data
from textdiff.errors import CheckpointError
from textdiff.training import data_files
from textdiff.training.data_files import RECORD, FileStates, check, record
from textdiff.training.exports import EXPORT


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Three files; beside them the run that began with them."""
    (tmp_path / "run").mkdir()
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for k, path in enumerate(paths):
        path.write_bytes(bytes(range(100 + k)))
    record(tmp_path / "run", paths)
    return paths


def test_files_are_looked_at_in_slices_of_any_size(files, monkeypatch):
    whole = FileStates.of(files * 3)
    monkeypatch.setattr(data_files, "SLICE", 2)
    sliced = FileStates.of(files * 3)
    assert all(vars(whole)[name].equal(vars(sliced)[name]) for name in vars(whole))
    assert whole.sizes.tolist() == [100, 101, 102] * 3


def later(path: Path) -> None:
    """Its time of change is another, as after a copy."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))


def test_the_same_files_pass_also_as_copies(files, tmp_path):
    assert check(tmp_path / "run", files) is None
    later(files[1])
    assert check(tmp_path / "run", files) is None
    moved = shutil.copytree(tmp_path, tmp_path / "moved", ignore=shutil.ignore_patterns("moved"))
    assert check(tmp_path / "run", [moved / path.name for path in files]) is None


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_change_of_content_is_refused_and_named(files, tmp_path, damage):
    DAMAGE[damage](files[1])
    if files[1].exists():
        later(files[1])
    with pytest.raises(CheckpointError, match=r"1 of 3: .*b\.png \(.*put them back") as error:
        check(tmp_path / "run", files)
    assert f"remove {tmp_path / 'run' / RECORD} to go on" in str(error.value)
    assert "a.png" not in str(error.value) and "c.png" not in str(error.value)


def test_what_changed_is_said(files, tmp_path):
    files[0].write_bytes(b"12")
    files[1].unlink()
    files[2].write_bytes(bytes(102))
    later(files[2])
    with pytest.raises(CheckpointError) as error:
        check(tmp_path / "run", files)
    said = ("a.png (100 bytes, now 2)", "b.png (is gone)", "c.png (other content)")
    assert all(text in str(error.value) for text in said)
    with pytest.raises(CheckpointError, match="3 files, now 2"):
        check(tmp_path / "run", files[:2])


def test_of_more_than_a_training_reads_anyway_only_sizes_are_known(files, tmp_path, monkeypatch):
    monkeypatch.setattr(data_files, "SUMMED", 200)
    record(tmp_path / "run", files)
    later(files[0])
    note = check(tmp_path / "run", files)
    assert note is not None and note.startswith("1 of 3 files of the data have another time")
    assert check(tmp_path / "run", files) is None  # said once
    files[1].write_bytes(b"")
    with pytest.raises(CheckpointError, match="101 bytes, now 0"):
        check(tmp_path / "run", files)


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_run_whose_record_is_lost_gets_another(files, tmp_path, content):
    file = tmp_path / "run" / RECORD
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    note = check(tmp_path / "run", files)
    assert note is not None and "they are taken as they are now" in note
    assert check(tmp_path / "run", files) is None  # said once
    files[0].write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"a\.png"):
        check(tmp_path / "run", files)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    record(tmp_path, [tmp_path / "pipe.png"])
    assert check(tmp_path, [tmp_path / "pipe.png"]) is None


def test_data_without_files_leave_no_record(tmp_path):
    record(tmp_path, [])
    assert check(tmp_path, []) is None and not (tmp_path / RECORD).exists()


def test_a_run_does_not_go_on_with_another_picture_of_the_same_name(configs, shapes, tmp_path):
    data = Path(shutil.copytree(shapes, tmp_path / "data"))
    flags = [
        "--config",
        configs / "clip.yaml",
        "--data.source",
        data,
        "--run-dir",
        tmp_path / "run",
    ]
    words = ["train-clip", *map(str, flags), "--train.steps"]
    run([*words, "1"])
    picture, other = open_data(DataConfig(source=str(data), min_side=4)).files[:2]
    before = picture.read_bytes()
    later(picture)
    run([*words, "2"])
    picture.write_bytes(other.read_bytes())
    later(picture)
    (tmp_path / "run" / EXPORT).unlink()  # so that a run which goes on writes it again
    with pytest.raises(CheckpointError, match=rf"1 of \d+: .*{picture.name} \("):
        run([*words, "3"])
    assert not (tmp_path / "run" / EXPORT).exists()
    picture.write_bytes(before)
    run([*words, "3"])
