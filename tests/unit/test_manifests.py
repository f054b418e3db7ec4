"""Folders that know what their files were."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.damage import DAMAGE
from textdiff import manifests
from textdiff.errors import CheckpointError
from textdiff.manifests import (
    MANIFEST,
    exchanging,
    sha256_of,
    verify_folder,
    verify_manifest,
    write_manifest,
)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "a.safetensors").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "b.yaml").write_text("name: cosine\n")
    (tmp_path / "notes.txt").write_text("mine")
    write_manifest(tmp_path, ["a.safetensors", "b.yaml"])
    return tmp_path


def test_a_folder_as_it_was_written_passes(folder):
    verify_manifest(folder)
    verify_folder(folder, ours=True)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["a.safetensors", "b.yaml"])
def test_every_damage_to_every_file_is_found(folder, name, damage):
    verify_manifest(folder)
    DAMAGE[damage](folder / name)
    with pytest.raises(CheckpointError, match=f"{name} (is missing|differs)"):
        verify_manifest(folder)


def test_a_file_that_is_not_listed_may_change(folder):
    (folder / "notes.txt").write_text("changed")
    verify_manifest(folder)


def test_a_folder_of_another_program_has_no_manifest(tmp_path):
    verify_folder(tmp_path, ours=False)
    with pytest.raises(FileNotFoundError):
        verify_manifest(tmp_path)


def test_one_of_ours_has_one(tmp_path):
    with pytest.raises(CheckpointError, match=rf"ckpt verify {tmp_path} --adopt$"):
        verify_folder(tmp_path, ours=True)


def test_one_whose_files_are_being_exchanged_is_waited_for(folder, monkeypatch):
    (folder / MANIFEST).rename(folder / "meanwhile")
    sleep = manifests.time.sleep
    monkeypatch.setattr(
        manifests.time,
        "sleep",
        lambda seconds: (folder / "meanwhile").rename(folder / MANIFEST) or sleep(seconds),
    )
    verify_folder(folder, ours=True)


def test_a_folder_within_is_listed_by_its_manifest(folder):
    for name in ("clip", "other"):
        (folder / name).mkdir()
        (folder / name / "weights").write_text(name)
        write_manifest(folder / name, ["weights"])
    write_manifest(folder, ["a.safetensors", f"clip/{MANIFEST}"])
    verify_manifest(folder)
    (folder / "clip").rename(folder / "before")
    (folder / "other").rename(folder / "clip")
    verify_manifest(folder / "clip")
    with pytest.raises(CheckpointError, match=f"clip/{MANIFEST} differs"):
        verify_manifest(folder)


def test_the_remedy_is_named(folder):
    (folder / "b.yaml").write_text("name: linear\n")
    with pytest.raises(CheckpointError, match=rf"remove {folder / MANIFEST} and .*adopt\)"):
        verify_folder(folder, ours=False)


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{}", '{"files": []}', '{"files": {}}', '{"files": {"a": 1}}', "[" * 100_000),
        f'{{"files": {"1" * 5000}}}',
    ],
    ids=str,
)
def test_a_manifest_of_something_else(folder, content):
    (folder / MANIFEST).write_text(content)
    with pytest.raises(CheckpointError, match=MANIFEST):
        verify_folder(folder, ours=True)


@pytest.mark.parametrize(
    "name", ["../a", "a/weights", "/a", *(f"{at}/{MANIFEST}" for at in ("..", "", ".", "a/b"))]
)
def test_a_manifest_lists_nothing_outside_its_folder(folder, name):
    listed = {"files": {name: {"size": 1, "sha256": "0"}}}
    (folder / MANIFEST).write_text(json.dumps(listed))
    with pytest.raises(CheckpointError, match="which is not in its folder: it is damaged"):
        verify_manifest(folder)


def write(folder, **files):
    with exchanging(folder, last="b", optional=["c"]) as staged:
        for name, content in files.items():
            (staged / name).write_text(content)


def test_files_are_exchanged_with_their_manifest(tmp_path):
    write(tmp_path, a="1", b="2", c="3")
    write(tmp_path, a="4", b="5")
    verify_manifest(tmp_path)
    assert {
        path.name: path.read_text() for path in tmp_path.iterdir() if path.name != MANIFEST
    } == {
        "a": "4",
        "b": "5",
    }


def test_the_same_files_are_not_touched(tmp_path):
    write(tmp_path, a="1", b="2")
    before = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    write(tmp_path, a="1", b="2")
    assert {path.name: path.stat().st_ino for path in tmp_path.iterdir()} == before
    (tmp_path / "a").write_text("damaged")
    write(tmp_path, a="1", b="2")
    verify_manifest(tmp_path)


def test_files_are_exchanged_whole_or_not_at_all(tmp_path):
    write(tmp_path, a="1", b="2")
    with pytest.raises(KeyError), exchanging(tmp_path, last="b") as staged:
        (staged / "a").write_text("half")
        raise KeyError
    verify_manifest(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", MANIFEST]


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
TREES = st.recursive(
    LEAVES,
    lambda tree: (
        st.lists(tree, max_size=3)
        | st.dictionaries(st.sampled_from(["files", "a", "size", "sha256", "", ".."]), tree)
    ),
    max_leaves=9,
)


@given(content=st.binary(max_size=64) | TREES.map(lambda tree: json.dumps(tree).encode()))
def test_whatever_stands_there_only_our_error_comes_out(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(CheckpointError):
        verify_folder(folder, ours=True)


def test_what_has_not_changed_is_hashed_once(folder, monkeypatch):
    path = folder / "a.safetensors"
    os.utime(path, (1, 1))
    first = sha256_of(path)
    monkeypatch.setattr(manifests, "_sha256", lambda path: "another")
    assert sha256_of(path) == first


def test_what_has_just_changed_is_hashed_anew(folder):
    """Two changes within a tick of the file system's clock have one time of change."""
    path = folder / "a.safetensors"
    first, status = sha256_of(path), path.stat()
    DAMAGE["bit flipped"](path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert sha256_of(path) != first


@pytest.mark.parametrize("entry", [{"size": "x"}, {"size": -1}, {"size": True}, {"sha256": 7}])
def test_entries_of_other_types_are_damage(folder, entry):
    listed = json.loads((folder / MANIFEST).read_text())
    listed["files"]["a.safetensors"] |= entry
    (folder / MANIFEST).write_text(json.dumps(listed))
    with pytest.raises(CheckpointError, match=r"no size and hash of 'a\.safetensors'"):
        verify_manifest(folder)


@pytest.mark.parametrize("before", [0, 1, 2, 3, 4])
def test_one_that_was_stopped_meanwhile_holds_nothing_and_is_written_again(
    tmp_path, monkeypatch, before
):
    """At every renaming or removal: never a folder that lost its manifest."""
    write(tmp_path, a="1", b="2")
    left = before

    class Stopped(BaseException):
        pass

    def counted(change):
        def stopping(path, *arguments, **settings):
            nonlocal left
            if path.name in ("a", "b", MANIFEST):
                left -= 1
                if left < 0:
                    raise Stopped
            return change(path, *arguments, **settings)

        return stopping

    with monkeypatch.context() as patch:
        for name in ("unlink", "replace"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        with pytest.raises(Stopped):
            write(tmp_path, a="4", b="5")
    assert not (tmp_path / "b").exists() or (tmp_path / MANIFEST).exists()
    write(tmp_path, a="4", b="5")
    verify_manifest(tmp_path)
    assert (tmp_path / "b").read_text() == "5"
