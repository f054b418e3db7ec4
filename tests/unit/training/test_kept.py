"""What is said of the checkpoints of a run, damaged ones too."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.helpers.damage import DAMAGE
from textdiff import checkpoint
from textdiff.errors import CheckpointError
from textdiff.locks import locked
from textdiff.manifests import read_manifest
from textdiff.training import kept
from textdiff.training.kept import contents, kept_checkpoints, verified_folders


def test_all_that_are_kept_the_newest_first(tiny_run):
    found = kept_checkpoints(tiny_run)
    assert [each.step for each in found] == [6, 4]
    assert all(each.trouble is None and each.size > 10_000 for each in found)
    rows = [json.loads(line) for line in (tiny_run / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert found[0].loss == pytest.approx(sum(losses) / len(losses))


@pytest.mark.parametrize("name", ["state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["truncated", "emptied", "deleted"])
def test_one_that_cannot_be_read_is_listed_with_its_trouble(run_copy, name, damage):
    DAMAGE[damage](run_copy / "checkpoints" / "step-000006" / name)
    newest, older = kept_checkpoints(run_copy)
    assert (newest.step, newest.loss) == (6, None)
    assert name in newest.trouble
    assert older.trouble is None


def test_a_state_without_seconds_is_listed(run_copy):
    file = run_copy / "checkpoints" / "step-000006" / "state.json"
    file.write_text(file.read_text().replace('"seconds"', '"minutes"'))
    newest, _ = kept_checkpoints(run_copy)
    assert (newest.seconds, newest.trouble) == (None, None)


def test_a_manifest_of_other_types_is_trouble(run_copy):
    file = run_copy / "checkpoints" / "step-000006" / "manifest.json"
    listed = json.loads(file.read_text())
    listed["files"]["ema.safetensors"]["size"] = "x"
    file.write_text(json.dumps(listed))
    assert "no size and hash of 'ema.safetensors'" in kept_checkpoints(run_copy)[0].trouble


def test_one_that_a_run_removes_meanwhile_is_no_trouble(run_copy, monkeypatch):
    def removed(folder):
        shutil.rmtree(run_copy / "checkpoints" / "step-000004", ignore_errors=True)
        return read_manifest(folder)

    monkeypatch.setattr(kept, "read_manifest", removed)
    assert [(each.step, each.trouble) for each in kept_checkpoints(run_copy)] == [(6, None)]


def test_trouble_of_a_run_that_trains_is_looked_at_again(run_copy, monkeypatch):
    clip = run_copy / "clip" / "manifest.json"
    written = clip.read_text()
    clip.write_text("{}")  # as it is being replaced
    monkeypatch.setattr(kept.time, "sleep", lambda _seconds: clip.write_text(written))
    with locked(run_copy / kept.LOCK):
        assert all(each.trouble is None for each in verified_folders(run_copy))
    clip.write_text("{}")
    assert any(each.trouble for each in verified_folders(run_copy))


def test_what_is_in_one(tiny_run):
    found = contents(tiny_run)
    assert found.kept.step == found.state["step"] == 6
    assert sorted(found.files) == [
        *("ema.safetensors", "optimizer.safetensors", "state.json", "unet.safetensors")
    ]
    assert contents(tiny_run, 4).state["step"] == 4


def test_a_step_that_is_not_kept(tiny_run):
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 5; it keeps 6, 4$"):
        contents(tiny_run, 5)


def test_one_that_is_saved_meanwhile_is_the_newest(tiny_run, monkeypatch):
    found = contents(tiny_run)
    older = {4: tiny_run / "checkpoints" / "step-000004"}
    monkeypatch.setattr(checkpoint, "steps_of", lambda _root: older)
    assert contents(tiny_run) == found


@pytest.mark.parametrize("ask", [kept_checkpoints, verified_folders, contents])
def test_no_run_there(tmp_path, ask):
    with pytest.raises(CheckpointError, match="does not exist; give "):
        ask(tmp_path / "none")
    with pytest.raises(CheckpointError, match="has no "):
        ask(tmp_path)


def test_all_folders_are_verified(tiny_run):
    verified = verified_folders(tiny_run)
    folders = [each.folder.removeprefix(str(tiny_run)) for each in verified]
    assert folders == ["", "/clip", "/checkpoints/step-000006", "/checkpoints/step-000004"]
    assert all(each.trouble is None and each.files for each in verified)


def test_a_changed_bit_is_named(run_copy):
    DAMAGE["bit flipped"](run_copy / "clip" / "open_clip_model.safetensors")
    run, clip, *others = verified_folders(run_copy)
    assert "clip/open_clip_model.safetensors differs" in clip.trouble
    assert [each.trouble for each in (run, *others)] == [None, None, None]


def test_an_export_of_another_checkpoint_is_named(tiny_clip, tmp_path):
    run = shutil.copytree(tiny_clip, tmp_path / "run")
    assert [each.trouble for each in verified_folders(run)] == [None, None]
    export = json.loads((run / "export.json").read_text())
    (run / "export.json").write_text(json.dumps({**export, "manifest": "another"}))
    assert "is not that of step-000004" in verified_folders(run)[-1].trouble
