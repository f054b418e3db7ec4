"""`textdiff finetune-clip`: where it starts, what it leaves behind, what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from textdiff.clip import ClipModel, NoisedClip
from textdiff.commands.cli import run
from textdiff.errors import CheckpointError, UsageError


@pytest.fixture
def finetune(noised_flags, tmp_path):
    """Trains for two steps, into run/ if no other folder is named; gives the folder."""

    def finetuned(*flags: str | Path) -> Path:
        folder = ["--run-dir", tmp_path / "run"] if "--run-dir" not in flags else []
        run(["finetune-clip", *map(str, [*noised_flags, "--train.steps", "2", *folder, *flags])])
        return tmp_path / "run"

    return finetuned


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# What it makes


def test_leaves_a_noised_clip_and_its_clean_form(finetune, tiny_clip):
    folder = finetune()
    noised = NoisedClip.load(folder)
    assert noised.image_size == 16
    assert noised.schedule_config["name"] == "cosine"
    assert noised.num_timesteps == 100
    assert noised.config.source == str(tiny_clip)
    assert noised.config.source_weights == ClipModel.load(tiny_clip).weights_hash()
    clean = ClipModel.load(folder / "clean")
    x_0 = torch.randn(2, 3, 16, 16)
    zero = torch.zeros(2, dtype=torch.int64)
    torch.testing.assert_close(clean.encode_image(x_0), noised.encode_image(x_0, zero))


def test_the_source_is_left_as_it_was(finetune, tiny_clip, tiny_run):
    before = contents(tiny_clip), contents(tiny_run)
    finetune()
    assert (contents(tiny_clip), contents(tiny_run)) == before


@pytest.mark.parametrize("trained", [False, True])
def test_text_tower_moves_if_asked_to(finetune, tiny_clip, trained):
    noised = NoisedClip.load(finetune("--train-text", str(trained).lower()))
    source = ClipModel.load(tiny_clip)
    same = torch.equal(noised.clip.model.text_projection, source.model.text_projection)
    assert same != trained
    moved = noised.clip.model.visual.conv1.weight
    assert not torch.equal(moved, source.model.visual.conv1.weight)


def test_a_resnet_can_be_the_start(finetune, configs, shapes, tmp_path):
    flags = ["--config", configs / "clip.yaml", "--data.source", shapes]
    flags += ["--clip.image.kind", "resnet", "--clip.image.image-size", "32"]
    flags += ["--clip.image.width", "4", "--clip.image.heads", "4"]
    flags += ["--train.steps", "1", "--run-dir", tmp_path / "resnet"]
    run(["train-clip", *map(str, flags)])
    folder = finetune("--init", tmp_path / "resnet")
    assert NoisedClip.load(folder).clip.tower_kind == "resnet"


def test_distillation_is_reported(finetune):
    folder = finetune("--distill", "1")
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    first = next(row for row in rows if "loss" in row)
    total = first["contrastive"] + first["distillation"]
    assert first["loss"] == pytest.approx(total, rel=1e-5)


def test_the_clean_tower_can_keep_the_first_timesteps(finetune, tiny_clip):
    noised = NoisedClip.load(finetune("--noise.clean-below", "5")).freeze()
    source = ClipModel.load(tiny_clip).freeze()
    x_0 = torch.randn(2, 3, 16, 16)
    expected = source.encode_image(x_0)
    assert torch.equal(noised.encode_image(x_0, torch.tensor([0, 4])), expected)
    assert not torch.equal(noised.encode_image(x_0, torch.tensor([5, 5])), expected)
    moved = noised.clip.model.visual.conv1.weight
    assert not torch.equal(moved, source.model.visual.conv1.weight)


def test_a_share_of_clean_pictures_and_distillation_by_signal(finetune):
    flags = ["--noise.clean-share", "0.9", "--distill", "1", "--distill-by-signal"]
    assert NoisedClip.load(finetune(*flags)).config.clean_below == 0


def test_an_uneven_batch(finetune):
    """8 pictures in batches of 5."""
    assert NoisedClip.load(finetune("--train.batch-size", "5"))


def test_pictures_take_the_size_of_the_model(finetune):
    settings = yaml.safe_load((finetune() / "config.yaml").read_text())
    assert settings["data"]["image_size"] == 16


def test_continues_to_the_same_bits(finetune, tmp_path):
    whole = finetune("--run-dir", tmp_path / "whole", "--train.steps", "4") and tmp_path / "whole"
    part = tmp_path / "part"
    finetune("--run-dir", part, "--train.steps", "4", "--train.checkpoint-every", "2")
    shutil.rmtree(part / "checkpoints" / "step-000004")
    finetune("--run-dir", part, "--train.steps", "4", "--resume", "must")
    assert NoisedClip.load(part).weights_hash() == NoisedClip.load(whole).weights_hash()


# What it refuses


def refused(finetune, *flags: str | Path, error: type = UsageError) -> str:
    with pytest.raises(error) as caught:
        finetune(*flags)
    return str(caught.value)


def test_run_dir_may_not_be_the_source(finetune, tiny_clip):
    before = contents(tiny_clip)
    message = refused(finetune, "--run-dir", tiny_clip / ".." / tiny_clip.name)
    assert "--init" in message
    assert "must stay as it is; name another --run-dir" in message
    assert contents(tiny_clip) == before


def test_run_dir_may_not_hold_the_source(finetune, tiny_clip):
    assert "must stay as it is" in refused(finetune, "--run-dir", tiny_clip.parent)


def test_run_dir_may_not_link_to_the_source(finetune, tiny_clip, tmp_path):
    (tmp_path / "link").symlink_to(tiny_clip)
    assert "must stay as it is" in refused(finetune, "--run-dir", tmp_path / "link")


def test_run_dir_may_not_be_the_diffusion_model(finetune, tiny_run):
    assert "--noise.schedule-from" in refused(finetune, "--run-dir", tiny_run)


def test_pictures_of_another_size_than_the_models(finetune, tiny_run):
    message = refused(finetune, "--data.image-size", "32")
    assert message == (
        f"--data.image-size 32, but --noise.schedule-from {tiny_run} has pictures of 16x16; "
        "give 16 or leave it out"
    )


def test_a_schedule_must_be_named(tiny_clip, tmp_path):
    with pytest.raises(UsageError, match=r"^--noise\.schedule-from is required"):
        run(["finetune-clip", "--init", str(tiny_clip), "--run-dir", str(tmp_path / "run")])


def test_a_schedule_from_nowhere(finetune, tmp_path):
    message = refused(finetune, "--noise.schedule-from", tmp_path / "no", error=CheckpointError)
    assert "does not exist; give a run folder of textdiff train" in message


def test_a_schedule_of_flips(finetune, tiny_run, tmp_path):
    model = yaml.safe_load((tiny_run / "model.yaml").read_text())
    (tmp_path / "binary").mkdir()
    (tmp_path / "binary" / "model.yaml").write_text(yaml.safe_dump({**model, "process": "binary"}))
    message = refused(finetune, "--noise.schedule-from", tmp_path / "binary")
    assert "is a model of process binary; a noised CLIP reads Gaussian noise" in message


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--noise.clean-below", "100"], "leaves none of the model's timesteps 0..99 to train on"),
        (
            ["--noise.clean-below", "5", "--noise.clean-share", "0.1"],
            "t = 0 is not trained on where the clean tower reads it; give one of them",
        ),
        (
            ["--noise.clean-below", "5", "--train-text"],
            "the clean image tower knows the text tower as it was",
        ),
        (["--distill-by-signal"], "distill_by_signal without distill; give a weight"),
        (["--noise.clean-share", "1"], "less than 1"),
    ],
    ids=str,
)
def test_clean_pictures_asked_for_in_ways_that_do_not_fit(finetune, flags, expected):
    assert expected in refused(finetune, *flags)


def test_encoding_in_groups_is_refused(finetune):
    message = refused(finetune, "--train.encoder-batch-size", "2")
    assert "encoder_batch_size 2 is for train-clip; fine-tuning encodes a batch at once" in message


def test_a_batch_of_one_without_distillation(finetune):
    message = refused(finetune, "--train.batch-size", "1")
    assert "contrastive loss is always 0; give 2 or more, or --distill" in message


def test_a_batch_of_one_with_distillation(finetune):
    assert NoisedClip.load(finetune("--train.batch-size", "1", "--distill", "1"))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (["--noise.density", "log_snr"], "noise.density"),
        (["--distill", "1"], "distill"),
        (["--train-text"], "train_text"),
        (["--max-shift", "1"], "max_shift"),
        (["--noise.clean-share", "0.5"], "noise.clean_share"),
        (["--noise.clean-below", "5"], "noise.clean_below"),
    ],
)
def test_a_run_is_not_continued_with_other_settings(finetune, change, key):
    finetune("--train.steps", "1")
    assert f"was trained with {key} = " in refused(finetune, *change, error=CheckpointError)


def test_a_run_is_not_continued_with_distillation_weighed_anew(finetune):
    finetune("--train.steps", "1", "--distill", "1")
    message = refused(finetune, "--distill", "1", "--distill-by-signal", error=CheckpointError)
    assert "was trained with distill_by_signal = False, now it is True" in message


def test_a_run_is_not_continued_with_another_schedule(finetune, tiny_run, tmp_path):
    finetune("--train.steps", "1")
    model = yaml.safe_load((tiny_run / "model.yaml").read_text())
    model["schedule"]["name"] = "linear"
    (tmp_path / "linear").mkdir()
    (tmp_path / "linear" / "model.yaml").write_text(yaml.safe_dump(model))
    message = refused(finetune, "--noise.schedule-from", tmp_path / "linear", error=CheckpointError)
    assert "was trained with schedule.name = cosine, now it is linear; set" in message


def test_a_run_is_not_continued_from_another_clip(finetune, tiny_clip, tmp_path):
    finetune("--train.steps", "1")
    other = ClipModel.load(tiny_clip)
    other.model.logit_scale.data.fill_(1.0)
    other.save(tmp_path / "other")
    message = refused(finetune, "--init", tmp_path / "other", error=CheckpointError)
    assert "was trained with another CLIP than --init names now; set it back" in message
