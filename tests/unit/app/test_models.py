"""Which models and CLIPs are in memory, and what is said of the others."""

from __future__ import annotations

import shutil
import threading

import pytest

from textdiff import TextToImage
from textdiff.app.models import Clips, Models
from textdiff.clip import ClipModel
from textdiff.errors import CheckpointError, UsageError


@pytest.fixture
def exported(pipe, tmp_path) -> str:
    pipe.save(tmp_path / "exported")
    return str(tmp_path / "exported")


def test_names_are_the_only_ones(tiny_run, exported):
    models = Models([str(tiny_run), exported])
    assert models.names() == [str(tiny_run), exported]
    for name in ("", "/etc", f"{tiny_run}/", f"{tiny_run}/../unet"):
        with pytest.raises(UsageError, match="is not one that this server has"):
            models.get(name)


def test_a_model_is_loaded_once_when_it_is_needed(tiny_run, exported):
    models = Models([str(tiny_run), exported])
    assert [state.state for state in models.states()] == ["waiting", "waiting"]
    pipe = models.get(str(tiny_run))
    assert models.get(str(tiny_run)) is pipe
    first, second = models.states()
    assert (first.state, first.steps, first.image_size) == ("ready", (6, 4), 16)
    assert (second.state, second.steps, second.image_size) == ("waiting", (), None)


def test_steps_of_a_run(tiny_run, exported):
    models = Models([str(tiny_run), exported])
    assert models.get(str(tiny_run), 4).step == 4
    assert models.get(str(tiny_run), 6) is models.get(str(tiny_run))
    with pytest.raises(CheckpointError, match="has no checkpoint of step 5; it keeps steps 6, 4"):
        models.get(str(tiny_run), 5)
    with pytest.raises(CheckpointError, match="has no checkpoint of step 4; it keeps none"):
        models.get(exported, 4)


def test_a_run_that_trains_on_is_loaded_again(run_copy):
    models = Models([str(run_copy)])
    older, newest = (run_copy / "checkpoints" / f"step-{step:06d}" for step in (4, 6))
    shutil.move(newest, run_copy / "newest")
    assert models.get(str(run_copy)).step == 4
    shutil.move(run_copy / "newest", newest)
    assert older.is_dir()
    assert models.get(str(run_copy)).step == 6


def test_a_damaged_newest_checkpoint_gives_the_one_before(run_copy):
    (run_copy / "checkpoints" / "step-000006" / "state.json").write_text("{}")
    assert Models([str(run_copy)]).get(str(run_copy)).step == 4


@pytest.mark.parametrize(("memory", "loaded"), [(1.0, 2), (0.0, 1)])
def test_models_make_room_for_each_other(tiny_run, exported, memory, loaded):
    models = Models([str(tiny_run), exported], memory=memory)
    for name in models.names():
        models.get(name)
    assert sum(state.state == "ready" for state in models.states()) == loaded
    assert models.states()[1].state == "ready"


def test_a_state_is_told_while_a_model_is_loaded(tiny_run, monkeypatch):
    load, begun, go_on = TextToImage.load, threading.Event(), threading.Event()

    def slow(*arguments):
        begun.set()
        assert go_on.wait(10)
        return load(*arguments)

    monkeypatch.setattr(TextToImage, "load", slow)
    models = Models([str(tiny_run)])
    thread = threading.Thread(target=models.get, args=(str(tiny_run),))
    thread.start()
    assert begun.wait(10)
    assert models.states()[0].state == "loading"
    go_on.set()
    thread.join()
    assert models.states()[0].state == "ready"


def test_a_model_that_cannot_be_loaded_says_why(run_copy):
    shutil.rmtree(run_copy / "clip")
    models = Models([str(run_copy)])
    with pytest.raises(CheckpointError):
        models.get(str(run_copy))
    (state,) = models.states()
    assert state.state == "failed"
    assert "has no clip/" in state.error


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no model\.yaml; give a run folder"):
        Models([str(tmp_path)])


def test_clips(tiny_clip, noised_with_clean):
    clips = Clips([str(tiny_clip), str(noised_with_clean), str(tiny_clip)])
    assert clips.names() == [str(tiny_clip), str(noised_with_clean)]
    assert clips.get(str(tiny_clip)) is clips.get(str(tiny_clip))
    assert clips.get(str(tiny_clip)).weights_hash() == ClipModel.load(tiny_clip).weights_hash()
    assert clips.get(str(noised_with_clean)).num_timesteps == 100
    with pytest.raises(UsageError, match="CLIP 'ViT-B-32/openai' is not one that this server has"):
        clips.get("ViT-B-32/openai")
