"""Bad input to whole commands: one line with cause and cure, the right exit code, nothing
half-written.

What settings, data, model folders and the pipeline refuse by themselves is tested beside them.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image
from safetensors import SafetensorError

from tests.helpers.command import textdiff
from tests.helpers.damage import forget
from textdiff.clip import ClipModel
from textdiff.commands import cli

LONG = "word " * 40


@pytest.fixture
def fails(capsys):
    """Runs a command that must end with `code`; returns its error message.

    `quiet`: nothing but that line may stand on stderr, not even a progress bar.
    """

    def check(code: int, *arguments: str | Path, quiet: bool = True) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        shown = capsys.readouterr().err
        assert ended.value.code == code, shown
        lines = shown.replace("\r", "\n").strip().splitlines()
        assert len(lines) == 1 or not quiet, shown
        assert lines[-1].startswith("textdiff: error: ")
        return lines[-1].removeprefix("textdiff: error: ")

    return check


@pytest.fixture
def train(configs, shapes, tiny_clip, tmp_path):
    """The arguments of a training that works, into a folder that is not there yet."""
    flags = ["--config", configs / "unet.yaml", "--data.source", shapes]
    return ["train", *flags, "--clip", tiny_clip, "--run-dir", tmp_path / "run"]


@pytest.fixture
def sample(tiny_run, tmp_path):
    """The arguments of a drawing that works, into a folder that is not there yet."""
    flags = ["--num-steps", "2", "--prompt", "red circle", "--out", tmp_path / "out"]
    return ["sample", "--model", tiny_run, *flags]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def damage(path: Path) -> None:
    """One byte in the middle is another one."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# Settings


@pytest.mark.parametrize(
    ("flags", "cause", "cure"),
    [
        (["--train.lrr", "1"], "unknown flag '--train.lrr'", "did you mean '--train.lr'?"),
        (["--unet.image-size", "32"], "unet.image_size is 32", "ask for 16; leave it out"),
        (["--preview.num-steps", "101"], "preview: num_steps must lie in 1..100", "got 101"),
        (["--clip", "ViT-B-33/openai"], "no model 'ViT-B-33'", "mean 'ViT-B-32/openai'?"),
    ],
)
def test_wrong_settings(fails, train, tmp_path, flags, cause, cure):
    message = fails(2, *train, *flags)
    assert cause in message
    assert cure in message
    assert not (tmp_path / "run").exists()


def test_unknown_command(fails):
    assert "unknown command 'trian'; did you mean 'train'?" in fails(2, "trian")


def test_missing_extra(fails, monkeypatch, tmp_path):
    find_spec = cli.importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "resvg_py" else find_spec(name)
    )
    out = tmp_path / "sheet.png"
    message = fails(2, "data", "info", "openmoji", "--out", out)
    assert "needs the package resvg-py: pip install resvg-py (extra 'openmoji')" in message
    assert not out.exists()


# Places to write to


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_run_folder_that_is_a_file(fails, train, tmp_path, place):
    (tmp_path / "file").write_text("mine")
    message = fails(2, *train, "--run-dir", tmp_path / place)
    assert f"{tmp_path / 'file'} is no folder; name another place" in message
    assert (tmp_path / "file").read_text() == "mine"


def test_place_without_permission(fails, sample, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert f"{tmp_path} cannot be written to" in fails(2, *sample)
    assert not list(tmp_path.iterdir())


def test_file_that_is_a_folder(fails, tiny_clip, shapes, tmp_path):
    command = ["retrieval", "--clip", tiny_clip, "--data.source", shapes, "--json", tmp_path]
    assert f"--json {tmp_path} is a folder; name a file in it" in fails(2, *command)


def test_full_disk_while_drawing(fails, sample, tmp_path, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    message = fails(2, *sample, quiet=False)
    assert message == "No space left on device; make room, or name another place"
    assert not list(tmp_path.glob("out/*"))


def test_full_disk_while_saving_a_checkpoint(fails, train, tmp_path, monkeypatch):
    def full(*_arguments, **_options):
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    assert "No space left on device" in fails(2, *train, quiet=False)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_errors_that_are_bugs_keep_their_traceback(monkeypatch):
    def bug(_settings):
        raise FileNotFoundError(errno.ENOENT, "No such file", "inside")

    monkeypatch.setattr("textdiff.commands.doctor.run", bug)
    with pytest.raises(FileNotFoundError):
        cli.main(["doctor"])


# Data


def spoilt(shapes: Path, folder: Path, *names: str) -> Path:
    """A copy of the shapes in which these images are no images."""
    shutil.copytree(shapes, folder)
    for name in names:
        (folder / name).write_bytes(b"no image")
    return folder


def test_data_that_are_not_there(fails, train, tmp_path):
    message = fails(3, *train, "--data.source", tmp_path / "absent")
    assert "not an existing folder" in message
    assert not (tmp_path / "run").exists()


def test_empty_folder(fails, train, tmp_path):
    (tmp_path / "empty").mkdir()
    message = fails(3, *train, "--data.source", tmp_path / "empty")
    assert "empty holds no images; known kinds: .apng, .avif, .bmp" in message
    assert not (tmp_path / "run").exists()


def test_too_many_corrupt_images(fails, train, shapes, tmp_path):
    data = spoilt(shapes, tmp_path / "data", "red-circle.png", "red-cross.png")
    command = [*train, "--data.source", data, "--data.max-bad-fraction", "0.1"]
    message = fails(3, *command, quiet=False)
    assert "2 of 16 images cannot be used, more than max_bad_fraction = 0.1" in message
    assert "textdiff data info" in message
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.slow
def test_a_few_corrupt_images_are_counted_and_replaced(train, shapes, tmp_path, capsys):
    data = spoilt(shapes, tmp_path / "data", "red-circle.png")
    cli.run([str(argument) for argument in [*train, "--data.source", data]])
    assert "1 of 8 images could not be used" in capsys.readouterr().out
    assert (tmp_path / "run" / "checkpoints" / "step-000006").is_dir()


def test_split_that_is_empty(fails, tiny_clip, shapes, tmp_path):
    data = spoilt(shapes, tmp_path / "data")
    rows = [json.loads(line) for line in (data / "metadata.jsonl").read_text().splitlines()]
    kept = [json.dumps(row | {"split": "train"}) for row in rows]
    (data / "metadata.jsonl").write_text("\n".join(kept))
    flags = ["--data.source", data, "--data.test-fraction", "0"]
    message = fails(3, "retrieval", "--clip", tiny_clip, *flags, "--json", tmp_path / "n.json")
    assert "test split is empty; raise test_fraction" in message
    assert not (tmp_path / "n.json").exists()


# CLIP


def test_clip_whose_config_and_weights_disagree(fails, train, tiny_clip, tmp_path):
    clip = forget(Path(shutil.copytree(tiny_clip, tmp_path / "clip")))
    config = json.loads((clip / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["width"] = 64
    (clip / "open_clip_config.json").write_text(json.dumps(config))
    message = fails(4, *train, "--clip", clip)
    assert "config and weights disagree on" in message
    assert "take both files from one model" in message
    assert not (tmp_path / "run").exists()


def test_clip_folder_that_is_none(fails, train, tmp_path):
    message = fails(4, *train, "--clip", tmp_path)
    assert "has no open_clip_config.json; give a folder with" in message
    assert not (tmp_path / "run").exists()


def test_judge_that_steered_the_training(fails, tiny_run, tiny_clip, shapes, tmp_path):
    flags = ["--data.source", shapes, "--json", tmp_path / "n.json"]
    message = fails(2, "prompt-following", "--model", tiny_run, "--judge", tiny_clip, *flags)
    assert "is the CLIP that" in message
    assert "give one of another seed or data" in message
    assert not (tmp_path / "n.json").exists()


# Drawing


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (
            ["--prompt", LONG, "--strict"],
            "does not fit the 12 tokens of the text tower; shorten it",
        ),
        (["--init-image", "absent.png"], "--init-image absent.png: no such file"),
        (["--device", "cuda"], "--device cuda is not on this machine; there is cpu"),
        (["--device", "cpu:x"], "--device cpu:x is not on this machine"),
        (["--prompt-file", "absent.txt"], "absent.txt"),
    ],
)
def test_what_cannot_be_drawn(fails, sample, tmp_path, flags, expected):
    assert expected in fails(2, *sample, *flags)
    assert not (tmp_path / "out").exists()


def test_drawing_from_no_model(fails, sample, tmp_path):
    assert "has no model.yaml; give a run folder" in fails(4, *sample, "--model", tmp_path)
    assert not (tmp_path / "out").exists()


def test_init_image_that_is_no_picture(fails, sample, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    message = fails(3, *sample, "--init-image", tmp_path / "text.png")
    assert message.startswith(f"--init-image {tmp_path / 'text.png'} cannot be used: not an image")
    assert not (tmp_path / "out").exists()


def test_no_prompt(fails, tiny_run, tmp_path):
    command = ["sample", "--model", tiny_run, "--out", tmp_path / "out"]
    assert 'no prompt; give --prompt "a red apple"' in fails(2, *command)


# Resuming


@pytest.fixture
def resume(train, run_copy):
    return [*train, "--run-dir", run_copy]


def test_must_without_a_checkpoint(fails, train, tmp_path):
    assert "--resume must: no checkpoint under" in fails(4, *train, "--resume", "must")
    assert not (tmp_path / "run").exists()


def test_never_with_checkpoints(fails, resume, run_copy):
    before = contents(run_copy)
    message = fails(4, *resume, "--resume", "never")
    assert "name another --run-dir or use --resume auto" in message
    assert contents(run_copy) == before


def test_every_checkpoint_damaged(fails, resume, run_copy):
    for path in run_copy.glob("checkpoints/*/unet.safetensors"):
        damage(path)
    before = contents(run_copy)
    message = fails(4, *resume)
    assert "can be used" in message
    assert "move the folder away to start fresh" in message
    assert contents(run_copy) == before


@pytest.mark.slow
def test_newest_checkpoint_damaged_when_resuming(resume, run_copy, capsys):
    damage(run_copy / "checkpoints" / "step-000006" / "optimizer.safetensors")
    cli.run([str(argument) for argument in resume])
    said = capsys.readouterr().out
    assert "skipping a damaged checkpoint: " in said
    assert f"resuming from {run_copy / 'checkpoints' / 'step-000004'}" in said


def test_newest_checkpoint_damaged_when_drawing(sample, run_copy, tmp_path, caplog):
    damage(run_copy / "checkpoints" / "step-000006" / "ema.safetensors")
    cli.run([str(argument) for argument in [*sample, "--model", run_copy]])
    assert "skipping a damaged checkpoint: " in caplog.text
    with Image.open(tmp_path / "out" / "00000-seed0.png") as picture:
        assert json.loads(picture.text["textdiff"])["model"]["step"] == 4


def test_resuming_with_another_clip(fails, resume, run_copy, tiny_clip, tmp_path):
    other = ClipModel.load(tiny_clip)
    other.model.logit_scale.data += 1
    other.save(tmp_path / "other")
    before = contents(run_copy)
    message = fails(4, *resume, "--clip", tmp_path / "other")
    assert f"use --clip {run_copy / 'clip'} or another --run-dir" in message
    assert contents(run_copy) == before


# What a user sees in a terminal


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "command", "expected"),
    [
        (2, "trian --clip {tmp}", "did you mean 'train'?"),
        (3, "data info {tmp} --out {tmp}/out/sheet.png", "holds no images"),
        (4, "train --clip {tmp} --data.source {shapes} --run-dir {tmp}/out", "no CLIP in"),
    ],
)
def test_one_line_and_nothing_of_other_libraries(shapes, tmp_path, code, command, expected):
    done = textdiff(*command.format(tmp=tmp_path, shapes=shapes).split())
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("textdiff: error: ")
    assert expected in done.stderr
    assert not list(tmp_path.iterdir())
