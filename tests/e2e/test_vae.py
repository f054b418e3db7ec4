"""A VAE from pictures to numbers as people type it, and what is said of bad input."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.damage import forget
from tests.helpers.vaes import foreign_vae, tiny_vae, vae_folder
from tests.helpers.warm import python
from textdiff.commands import cli
from textdiff.vae import LatentStatistics, Vae


@pytest.mark.slow
def test_from_pictures_to_numbers(configs, shapes, tiny_clip, tmp_path):
    def finished(*arguments) -> str:
        done = python(*arguments)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert "Warning" not in done.stderr
        return done.stdout + done.stderr

    run, out, sheet = tmp_path / "run", tmp_path / "vae.json", tmp_path / "sheet.png"
    flags = ["--config", configs / "vae.yaml", "--data", shapes, "--run-dir", run]
    shown = finished("scripts/train_vae.py", *flags, "--objective", "elbo")
    assert "bits/dim" in shown and "finished at step 6" in shown
    assert "textdiff sample --vae" in shown
    flags = ["--vae", run, "--split", "val", "--judge", tiny_clip, "--json", out, "--sheet", sheet]
    assert "Reconstructions of 4 pictures of" in finished("evals/vae.py", *flags)
    found = json.loads(out.read_text())
    assert len(found["channels"]) == 2 and found["vae"]["factor"] == 4
    assert set(found["judged"][str(tiny_clip)]) == {
        *("kid", "originals", "reconstructions", "difference")
    }
    assert Image.open(sheet).width > 0
    assert "B - A" in finished("evals/compare.py", out, out)
    drawn = tmp_path / "drawn"
    flags = ["--vae", run, "--num-images", "3", "--out", drawn]
    assert "3 pictures and grid.png" in finished("scripts/sample.py", *flags)
    assert len(list(drawn.glob("*-seed0.png"))) == 3


@pytest.fixture
def fails(capsys):
    """Runs a command that ends with `code`; what it says."""

    def message(code: int, *arguments) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        shown = capsys.readouterr().err.strip().splitlines()
        assert ended.value.code == code, shown
        return shown[-1].removeprefix("textdiff: error: ")

    return message


def drawn_by(*arguments) -> None:
    cli.run(["sample", *map(str, arguments)])


def test_samples_go_on_from_those_there_and_are_the_same_of_one_seed(tmp_path, capsys):
    vae, out = vae_folder(tmp_path / "vae"), tmp_path / "out"
    drawn_by("--vae", vae, "--num-images", 2, "--out", out)
    assert "are not N(0, I)" in capsys.readouterr().err
    drawn_by("--vae", vae, "--num-images", 1, "--first", 1, "--out", tmp_path / "again")
    first, second = (
        np.asarray(Image.open(folder / "00001-seed0.png"), dtype=int)
        for folder in (out, tmp_path / "again")
    )
    assert abs(first - second).max() <= 1  # a batch of another size rounds otherwise
    assert first.std() > 1
    drawn_by("--vae", vae, "--out", out)
    names = sorted(path.name for path in out.iterdir())
    assert names == [
        *("00000-seed0.png", "00001-seed0.png", "00002-seed0.png"),
        *("grid-00002.png", "grid.png"),
    ]


def test_a_vae_whose_latents_are_the_priors_is_sampled_without_a_note(tmp_path, capsys):
    vae = tiny_vae()
    vae.statistics = LatentStatistics(torch.zeros(4), torch.ones(4), 9, "nine", vae.identity)
    vae.save(tmp_path / "vae")
    drawn_by("--vae", tmp_path / "vae", "--out", tmp_path / "out")
    assert "note" not in capsys.readouterr().err


def without_statistics(folder):
    vae_folder(folder)
    forget(folder)
    (folder / "latents.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    del config["scaling_factor"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_vae_without_statistics_gets_them(tmp_path, shapes, capsys):
    bare, out = without_statistics(tmp_path / "bare"), tmp_path / "out"
    data = ["--data", str(shapes), "--data.image-size", "16", "--data.min-side", "4"]
    cli.run(["vae", "--vae", str(bare), *data, "--out", str(out)])
    assert "statistics of its latents on 8 pictures" in capsys.readouterr().out
    vae = Vae.load(out)
    assert vae.identity == Vae.load(bare).identity
    assert vae.measured().count == 8
    assert vae.measured().image_size == 16
    cli.run(["vae", "--vae", str(out), *data[:2], "--data.min-side", "4"])
    assert "at 16x16 pixels" in capsys.readouterr().out.replace("\n", " ")


def test_a_scale_that_does_not_fit_is_noted(tmp_path, shapes, capsys):
    foreign = foreign_vae(tmp_path / "foreign")
    data = ["--data", str(shapes), "--data.image-size", "16", "--data.min-side", "4"]
    cli.run(["vae", "--vae", str(foreign), *data])
    said = capsys.readouterr().err
    assert "latents are normalised as " in said
    assert f"textdiff vae --vae {foreign} --data {shapes} --data.image-size 16 --out" in said


@pytest.mark.slow
def test_grey_and_transparent_pictures_are_trained_on_as_colour(tmp_path, configs, shapes, capsys):
    data = shutil.copytree(shapes, tmp_path / "data")
    for path in data.glob("red-*.png"):
        Image.open(path).convert("L").save(path)
    for path in data.glob("green-*.png"):
        Image.open(path).convert("RGBA").save(path)
    flags = ["--config", str(configs / "vae.yaml"), "--data", str(data), "--train.steps", "2"]
    cli.run(["train-vae", *flags, "--run-dir", str(tmp_path / "run")])
    assert "finished at step 2" in capsys.readouterr().out
    assert Vae.load(tmp_path / "run").measured().count == 8


def test_pictures_need_no_captions(tmp_path, configs, shapes, capsys):
    data = shutil.copytree(shapes, tmp_path / "data")
    (data / "metadata.jsonl").unlink()
    flags = ["--config", str(configs / "vae.yaml"), "--data", str(data), "--train.steps", "1"]
    cli.run(["train-vae", *flags, "--run-dir", str(tmp_path / "run")])
    assert "finished at step 1" in capsys.readouterr().out


def test_sizes_that_the_vae_cannot_halve(fails, tmp_path, configs, shapes):
    flags = ["--config", configs / "vae.yaml", "--data", shapes, "--run-dir", tmp_path / "run"]
    said = fails(2, "train-vae", *flags, "--data.image-size", 18)
    assert said == (
        "image size 18 cannot be halved 2 times, as this VAE of factor 4 does; use a multiple of "
        "4, such as 16, or fewer levels in vae.block_channels"
    )
    vae = vae_folder(tmp_path / "vae")
    said = fails(2, "vae", "--vae", vae, "--data", shapes, "--data.image-size", 18)
    assert said.startswith("image size 18 cannot be halved 2 times")
    assert not (tmp_path / "run").exists()


def test_more_pictures_than_judges_compare(fails, tmp_path, shapes, tiny_clip, monkeypatch):
    monkeypatch.setattr("textdiff.evaluation.vae.measure.LARGEST", 3)
    reached = []
    monkeypatch.setattr("textdiff.evaluation.vae.measure.reconstruct", reached.append)
    flags = ["--vae", vae_folder(tmp_path / "vae"), "--data", shapes, "--data.image-size", 16]
    said = fails(3, "vae", *flags, "--judge", tiny_clip)
    assert "judges compare 3 reconstructions at most, not 4; give --limit 3" in said
    assert not reached


def test_a_vae_that_is_not_there(fails, tmp_path, shapes):
    data = ["--data", shapes]
    said = fails(4, "vae", "--vae", tmp_path / "nowhere", *data)
    assert said == f"no VAE at {tmp_path / 'nowhere'}: no such folder"
    said = fails(2, "vae", "--vae", "somebody/their-vae", *data)
    assert said.startswith("no VAE at 'somebody/their-vae': no such folder, and as a hub name")
    said = fails(2, "train-vae", "--init", "somebody/their-vae", *data, "--run-dir", "run")
    assert said.startswith("no VAE at 'somebody/their-vae'")


def test_a_vae_that_does_not_say_what_it_was_trained_on(fails, tmp_path):
    said = fails(2, "vae", "--vae", vae_folder(tmp_path / "vae"))
    assert "has no config.yaml that says which images it was trained on" in said


def test_prompts_are_not_for_a_vae(fails, tmp_path):
    said = fails(2, "sample", "--vae", tmp_path, "--prompt", "a red apple")
    assert said == (
        "--vae draws from N(0, I), with no prompt and no text-to-image model; leave out prompt"
    )


@pytest.mark.slow
def test_a_discriminator_whose_loss_is_nan_ends_the_run(
    fails, tmp_path, configs, shapes, monkeypatch
):
    from textdiff.training import discriminator

    loss = discriminator.discriminator_loss
    spoilt = lambda real, fake: loss(real, fake) * float("nan")  # noqa: E731
    monkeypatch.setattr(discriminator, "discriminator_loss", spoilt)
    flags = ["--config", configs / "vae.yaml", "--data", shapes, "--run-dir", tmp_path / "run"]
    flags += ["--discriminator.weight", 1, "--discriminator.start", 2]
    flags += ["--train.max-skipped-steps", 0]
    said = fails(5, "train-vae", *flags)
    assert said.startswith("the discriminator's loss is nan at step 2 (samples ")
    assert "lower --train.lr and --discriminator.lr" in said
