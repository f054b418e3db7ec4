"""Checkpoints: whole or not there, verified before older ones go, read without pickle."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from textdiff import checkpoint
from textdiff.checkpoint import (
    checkpoints,
    first_not_finite,
    load_module,
    load_state,
    load_tensors,
    newest_good,
    restore_staged,
    save_checkpoint,
    save_tensors,
    verify,
    weights_hash,
)
from textdiff.errors import CheckpointError
from textdiff.manifests import MANIFEST

TENSORS = {"unet": {"weight": torch.arange(6.0).view(2, 3)}, "ema": {"weight": torch.ones(3)}}


def save(root: Path, step: int, keep: int = 10) -> Path:
    return save_checkpoint(root, step, TENSORS, {"seconds": 1.5}, keep)


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


# One checkpoint


def test_what_is_saved_is_loaded(tmp_path):
    folder = save(tmp_path, 12)
    assert folder == tmp_path / "step-000012"
    torch.testing.assert_close(load_tensors(folder / "unet.safetensors"), TENSORS["unet"])
    assert load_state(folder) == {"step": 12, "seconds": 1.5}


def test_manifest_lists_size_and_sha256_of_every_other_file(tmp_path):
    folder = save(tmp_path, 1)
    files = json.loads((folder / MANIFEST).read_text())["files"]
    assert sorted([*files, MANIFEST]) == names(folder)
    for name, entry in files.items():
        content = (folder / name).read_bytes()
        expected = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        assert entry == expected


@pytest.mark.parametrize("name", ["unet.safetensors", "ema.safetensors", "state.json"])
def test_one_changed_byte_is_found(tmp_path, name):
    folder = save(tmp_path, 1)
    damage(folder / name)
    with pytest.raises(CheckpointError, match=rf"{name} differs from what {MANIFEST} says"):
        verify(folder)


def test_missing_file_is_found(tmp_path):
    folder = save(tmp_path, 1)
    (folder / "ema.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"ema\.safetensors is missing"):
        verify(folder)


def test_folder_without_a_manifest_was_not_finished(tmp_path):
    folder = save(tmp_path, 1)
    (folder / MANIFEST).unlink()
    with pytest.raises(CheckpointError, match="not written to its end"):
        verify(folder)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"files": []}', '{"files": {"a": 1}}', '{"files": {"a": {}}}']
)
def test_manifest_of_something_else(tmp_path, content):
    folder = save(tmp_path, 1)
    (folder / MANIFEST).write_text(content)
    with pytest.raises(CheckpointError, match=f"{MANIFEST} cannot be read"):
        verify(folder)


# Several


def test_newest_comes_first_by_number_and_not_by_name(tmp_path):
    for step in (2, 1_000_000, 999_999):
        save(tmp_path, step)
    (tmp_path / "step-notes").mkdir()
    (tmp_path / "step-000003").write_text("a file")
    found = [path.name for path in checkpoints(tmp_path)]
    assert found == ["step-1000000", "step-999999", "step-000002"]


def test_newest_good_passes_over_damaged_ones_and_says_so(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step)
    damage(tmp_path / "step-000003" / "unet.safetensors")
    folder, damaged = newest_good(tmp_path)
    assert folder == tmp_path / "step-000002"
    assert [str(tmp_path / "step-000003") in message for message in damaged] == [True]


def test_no_checkpoint_is_no_error_but_none_that_is_good_is(tmp_path):
    assert newest_good(tmp_path / "absent") == (None, [])
    damage(save(tmp_path, 1) / "state.json")
    with pytest.raises(CheckpointError, match="move the folder away to start fresh"):
        newest_good(tmp_path)


def test_oldest_go_once_there_are_more_than_asked_for(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step, keep=2)
    assert names(tmp_path) == ["step-000002", "step-000003"]


def test_a_damaged_one_does_not_count_among_the_kept(tmp_path):
    """Two were kept, of which one was damaged: one more fault, and all was lost."""
    for step in (1, 2, 3):
        save(tmp_path, step, keep=2)
    damage(tmp_path / "step-000003" / "unet.safetensors")
    save(tmp_path, 4, keep=2)
    assert names(tmp_path) == ["step-000002", "step-000003", "step-000004"]
    save(tmp_path, 5, keep=2)
    assert names(tmp_path) == ["step-000004", "step-000005"]


def test_nothing_goes_before_the_new_one_verifies(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def refuse(folder):
        raise CheckpointError(f"{folder} is damaged")

    monkeypatch.setattr(checkpoint, "verify", refuse)
    with pytest.raises(CheckpointError):
        save(tmp_path, 2, keep=1)
    assert "step-000001" in names(tmp_path)


def test_new_one_stays_though_a_damaged_one_has_a_later_step(tmp_path):
    """A run resumed from step 1 because step 9 was damaged saves step 2."""
    save(tmp_path, 1)
    damage(save(tmp_path, 9) / "state.json")
    save(tmp_path, 2, keep=1)
    folder, _ = newest_good(tmp_path)
    assert folder == tmp_path / "step-000002"
    assert names(tmp_path) == ["step-000002", "step-000009"]


def test_same_step_again_takes_the_place_of_a_damaged_one(tmp_path):
    damage(save(tmp_path, 1) / "state.json")
    verify(save(tmp_path, 1))
    assert names(tmp_path) == ["step-000001"]


# Interrupted


def test_interrupted_save_leaves_only_what_was_there(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def killed(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 2)
    assert names(tmp_path) == ["step-000001"]


def test_leftovers_of_a_killed_process_are_ignored_and_removed(tmp_path):
    leftover = tmp_path / ".staging-step-000005-abcdef01"
    shutil.copytree(save(tmp_path, 1), leftover)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000001"]
    save(tmp_path, 2)
    assert names(tmp_path) == ["step-000001", "step-000002"]


@contextmanager
def failing_renames(happen: int, *, all_later: bool) -> Iterator[None]:
    """So many renames happen; then one fails, or all do, as in a process that was killed."""
    calls, rename = [], Path.rename

    def renamed(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == happen + 1 or (all_later and len(calls) > happen):
            raise OSError(5, "I/O error")
        return rename(path, target)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="I/O error"):
        patch.setattr(Path, "rename", renamed)
        yield


@pytest.mark.parametrize("happen", [0, 1])
def test_one_that_cannot_be_exchanged_for_another_of_its_step_comes_back(tmp_path, happen):
    before = load_tensors(save(tmp_path, 5) / "unet.safetensors")
    with failing_renames(happen, all_later=False):
        save_checkpoint(tmp_path, 5, {"unet": {"weight": torch.zeros(1)}}, {}, 10)
    assert names(tmp_path) == ["step-000005"]
    verify(tmp_path / "step-000005")
    torch.testing.assert_close(load_tensors(tmp_path / "step-000005/unet.safetensors"), before)


def test_what_was_there_before_comes_back_if_what_was_written_does_not_verify(
    tmp_path, monkeypatch
):
    save(tmp_path, 5)

    def fail(folder: Path) -> None:
        raise CheckpointError(f"{folder} differs")

    with monkeypatch.context() as patch, pytest.raises(CheckpointError, match="differs"):
        patch.setattr(checkpoint, "verify", fail)
        save_checkpoint(tmp_path, 5, {"unet": {"weight": torch.zeros(1)}}, {}, 10)
    assert load_tensors(tmp_path / "step-000005/unet.safetensors")["weight"].shape == (2, 3)


def test_a_kill_between_the_renames_loses_nothing(tmp_path):
    save(tmp_path, 5)
    with failing_renames(1, all_later=True):
        save(tmp_path, 5)
    assert not any(checkpoints(tmp_path))
    restore_staged(tmp_path)
    assert names(tmp_path) == ["step-000005"]
    verify(tmp_path / "step-000005")


def test_what_is_not_whole_or_has_another_in_its_place_stays_staged(tmp_path):
    save(tmp_path, 5)
    shutil.copytree(tmp_path / "step-000005", tmp_path / ".staging-step-000005-0123abcd")
    damaged = tmp_path / ".staging-step-000006-0123abcd"
    shutil.copytree(tmp_path / "step-000005", damaged)
    damage(damaged / "unet.safetensors")
    (tmp_path / ".staging-step-000007-0123abcd").mkdir()
    before = names(tmp_path)
    restore_staged(tmp_path)
    assert names(tmp_path) == before


# Weights files


def test_tensors_that_are_views_are_saved_as_they_look(tmp_path):
    view = torch.arange(6.0).view(2, 3).T
    save_tensors(tmp_path / "a.safetensors", {"view": view})
    assert torch.equal(load_tensors(tmp_path / "a.safetensors")["view"], view)


def test_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"a": torch.zeros(1)})

    def full(*_arguments, **_options):
        raise SafetensorError("no space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="no space left"):
        save_tensors(path, {"a": torch.ones(1)})
    assert load_tensors(path)["a"] == 0
    assert names(tmp_path) == ["a.safetensors"]


def test_weights_file_that_is_not_there_or_is_none(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        load_tensors(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("words")
    with pytest.raises(CheckpointError, match="damaged or no safetensors file"):
        load_tensors(tmp_path / "text.safetensors")


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({"weight": torch.zeros(2, 2)}, "lacks 'bias'"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}, r"'weight' has shape \(2, 3\)"),
        (
            {"weight": torch.zeros(2, 2), "bias": torch.zeros(2), "more": torch.zeros(1)},
            "holds 'more'",
        ),
    ],
)
def test_module_takes_all_tensors_or_none(tensors, complaint):
    module = torch.nn.Linear(2, 2)
    before = weights_hash(module)
    with pytest.raises(CheckpointError, match=complaint):
        load_module(module, tensors, "file")
    assert weights_hash(module) == before


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_module_takes_no_values_that_are_not_finite(value):
    module = torch.nn.Linear(2, 2)
    before = weights_hash(module)
    tensors = {"weight": torch.zeros(2, 2), "bias": torch.tensor([0.0, value])}
    with pytest.raises(CheckpointError, match="file: 'bias' holds values that are not finite"):
        load_module(module, tensors, "file")
    assert weights_hash(module) == before


def test_integers_are_finite():
    assert first_not_finite({"counts": torch.tensor([1, 2])}) is None


def test_hash_depends_on_values_names_and_types_alone():
    first, same = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    same.load_state_dict(first.state_dict())
    assert weights_hash(first) == weights_hash(same)
    assert weights_hash(first) != weights_hash(same.double())
    assert weights_hash(first) != weights_hash(torch.nn.Sequential(first))


def test_no_pickle_anywhere_in_a_run_folder(tiny_run):
    """Neither by name nor, where a name says nothing, by a pickle's or zip's first bytes."""
    files = [path for path in tiny_run.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in files if "tensorboard" not in path.parts}
    assert kinds == {".safetensors", ".json", ".jsonl", ".yaml", ".png"}
    assert not [
        path for path in files if path.read_bytes()[:2] in (b"\x80\x02", b"\x80\x04", b"PK")
    ]
