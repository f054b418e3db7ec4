"""Latent diffusion by whole commands: training with a cache and without, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from tests.helpers.damage import forget
from tests.helpers.two_processes import run_in_two_processes
from tests.helpers.vaes import foreign_vae, vae_folder
from textdiff import TextToImage, checkpoint
from textdiff.clip import ClipModel, NoisedClip
from textdiff.commands.cli import run
from textdiff.data import CaptionedImages
from textdiff.errors import CheckpointError, UsageError
from textdiff.vae import Vae

CACHED = ["--data.cache", "on", "--data.cache-dir"]


def weights(folder: Path, stem: str = "unet") -> dict[str, torch.Tensor]:
    newest = next(checkpoint.checkpoints(folder / "checkpoints"))
    return checkpoint.load_tensors(newest / f"{stem}.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def metrics(folder: Path) -> dict[str, float]:
    values = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        values |= json.loads(line)
    return values


@pytest.fixture
def train(latent_flags, tmp_path):
    """Trains into a folder of tmp_path; gives it."""

    def trained(name: str, *flags: str | Path) -> Path:
        run(["train", *latent_flags, "--run-dir", str(tmp_path / name), *map(str, flags)])
        return tmp_path / name

    return trained


@pytest.fixture
def finetune(latent_noised_flags, tmp_path):
    def finetuned(name: str, *flags: str | Path) -> Path:
        every = [*latent_noised_flags, "--run-dir", str(tmp_path / name), *map(str, flags)]
        run(["finetune-clip", *every])
        return tmp_path / name

    return finetuned


# Training


def test_the_run_folder_is_a_model_of_latents(tiny_latent_model, tiny_vae):
    model = yaml.safe_load((tiny_latent_model / "model.yaml").read_text())
    assert (model["vae"], model["vae_factor"]) == (str(tiny_vae), 4)
    assert (model["unet"]["image_size"], model["unet"]["in_channels"]) == (4, 4)
    assert Vae.load(tiny_latent_model / "vae").space == Vae.load(tiny_vae).space
    values = metrics(tiny_latent_model)
    assert {"held_out/eps_mse", "training/below_mean", "text/change"} <= values.keys()


@pytest.mark.parametrize("kept", ["sampled", "mean"])
def test_with_the_cache_and_without_training_gives_the_same_bits(train, tmp_path, kept):
    flags = ["--latents", kept]
    plain = train("plain", *flags)
    cached = train("cached", *flags, *CACHED, tmp_path / "cache")
    again = train("again", *flags, *CACHED, tmp_path / "cache")
    for stem in ("unet", "ema", "optimizer"):
        assert same(weights(plain, stem), weights(cached, stem))
    assert same(weights(cached), weights(again))
    (folder,) = (tmp_path / "cache").glob("latents-*")
    assert json.loads((folder / "about.json").read_text())["kept"] == kept
    held_out = [metrics(run)["held_out/eps_mse"] for run in (plain, cached)]
    assert held_out[0] == held_out[1]


def test_workers_are_chosen_where_pictures_are_decoded(train, tmp_path, monkeypatch):
    """Also where a cache is allowed and not worth it, not where rows are read."""
    asked = []

    def choose(data, *_rest):
        asked.append(data)
        return 0

    monkeypatch.setattr("textdiff.training.loop.choose_workers", choose)
    few = ["--train.steps", "1", "--train.batch-size", "2", "--train.workers", "auto"]
    few += ["--train.eval-every", "9", "--preview.num-prompts", "0"]
    train("cached", *few, *CACHED, tmp_path / "cache")
    assert asked == []
    train("decoded", *few, "--data.cache", "auto", "--data.cache-dir", tmp_path / "other")
    assert [type(data) for data in asked] == [CaptionedImages]


def test_what_is_kept_of_a_picture_decides_the_training(train, tiny_latent_model):
    assert not same(weights(train("mean", "--latents", "mean")), weights(tiny_latent_model))


def test_a_run_stopped_halfway_ends_with_the_same_bits(train, tiny_latent_model):
    folder = train("run", "--train.steps", "3", "--train.checkpoint-every", "3")
    train("run", "--train.steps", "6", "--resume", "must")
    assert same(weights(folder), weights(tiny_latent_model))


@pytest.mark.slow
def test_two_processes_write_one_cache_and_train_as_one(train, latent_flags, tmp_path):
    flags = ["--train.steps", "2", *CACHED]
    alone = train("alone", *flags, tmp_path / "cache of one", "--train.batch-size", "4")
    flags += [str(tmp_path / "cache of two"), "--train.batch-size", "2"]
    job = ["train", *latent_flags, "--run-dir", str(tmp_path / "both"), *flags]
    run_in_two_processes([job], tmp_path)
    for name, tensor in weights(tmp_path / "both").items():
        torch.testing.assert_close(tensor, weights(alone)[name], rtol=1e-4, atol=1e-6)
    (one,), (two,) = ((tmp_path / f"cache of {n}").glob("latents-*") for n in ("one", "two"))
    for file in ("latents.npy", "done.npy"):
        assert (one / file).read_bytes() == (two / file).read_bytes()


def test_unclip_decoders_draw_latents(train, tiny_embeddings, tmp_path):
    folder = train("decoder", "--embeddings", tiny_embeddings, "--caption-drop", "0.5")
    pipe = TextToImage.load(folder)
    assert pipe.config.unet.image_dim == pipe.clip.embed_dim
    picture = torch.zeros(3, 20, 20, dtype=torch.uint8)
    assert len(pipe("", vary=picture, num_steps=2, keep_noise=True)) == 1


def test_the_check_passes_over_the_cache(train, tmp_path):
    flags = ["--check", "overfit", "--train.lr", "1e-2"]
    train("run", *flags, *CACHED, tmp_path / "cache")
    assert not (tmp_path / "run").exists()


# Commands


@pytest.fixture
def on_model(tiny_latent_model, shapes):
    """A command on the model and its data."""

    def on(command: str, *flags: str | Path) -> None:
        run([command, "--model", str(tiny_latent_model), *map(str, flags)])

    return on


def test_sample_and_the_same_picture_again(on_model, tiny_latent_model, tmp_path):
    few = ["--num-steps", "2", "--prompt", "red circle", "--num-images", "2"]
    on_model("sample", *few, "--out", tmp_path / "out")
    first = tmp_path / "out" / "00001-seed0.png"
    run(["sample", "--from", str(first), "--out", str(tmp_path / "again")])
    (again,) = (tmp_path / "again").glob("0*.png")
    assert again.read_bytes() == first.read_bytes()
    settings = TextToImage.settings_of(first)
    assert TextToImage.load(tiny_latent_model)(**settings)[0].size == (16, 16)


def test_a_picture_is_not_drawn_again_by_another_vae(on_model, tiny_latent_model, tmp_path):
    few = ["--num-steps", "2", "--prompt", "red circle"]
    model = tmp_path / "model"
    shutil.copytree(tiny_latent_model, model)
    run(["sample", "--model", str(model), *few, "--out", str(tmp_path / "out")])
    pipe = TextToImage.load(model)
    pipe.vae.network.decoder.conv_out.bias.data += 1
    pipe.vae.__dict__.pop("identity", None)
    pipe.vae.statistics = replace(pipe.vae.statistics, vae=pipe.vae.identity)
    shutil.rmtree(model)
    pipe.save(model)
    picture = str(tmp_path / "out" / "00000-seed0.png")
    with pytest.raises(CheckpointError, match=r"other weights than drew the picture \(vae"):
        run(["sample", "--from", picture, "--out", str(tmp_path / "again")])


def test_inversion(on_model, tmp_path):
    flags = ["--num-steps", "2", "4", "--limit", "3", "--split", "all"]
    on_model("inversion", *flags, "--json", tmp_path / "i.json", "--grid", tmp_path / "i.png")
    found = json.loads((tmp_path / "i.json").read_text())
    assert found["model"]["vae"] and found["model"]["image_size"] == 16
    assert found["results"]["4"]["rmse"]["mean"] > 0


def test_prompt_following(on_model, other_clip, tmp_path):
    flags = ["--num-steps", "2", "--num-prompts", "2", "--judge", other_clip]
    on_model("prompt-following", *flags, "--json", tmp_path / "p.json")
    assert json.loads((tmp_path / "p.json").read_text())["model"]["vae"]


@pytest.fixture
def judge(tiny_clip, tmp_path) -> Path:
    """A second CLIP that took no part."""
    clip = ClipModel.load(tiny_clip)
    clip.model.logit_scale.data.sub_(0.5)
    clip.save(tmp_path / "judge")
    return tmp_path / "judge"


@pytest.mark.parametrize("guide", ["clean", "latents"])
def test_guidance(on_model, other_clip, judge, latent_noised, tmp_path, monkeypatch, guide):
    monkeypatch.setattr("textdiff.evaluation.held_out.measure.FRECHET_RESAMPLES", 5)
    monkeypatch.setattr("textdiff.evaluation.held_out.measure.RESAMPLES", 50)
    flags = ["--num-prompts", "3", "--num-steps", "2", "--split", "train", "--scales", "1"]
    flags += ["--clip-scales", "0", "2", "--judges", other_clip, judge]
    flags += ["--json", tmp_path / "g.json"]
    if guide == "latents":
        flags += ["--clip-guide", latent_noised]
    on_model("guidance", *flags)
    found = json.loads((tmp_path / "g.json").read_text())
    form, reads = found["guide"]["form"], found["guide"]["judges"]["reads"]
    assert form == {"clean": "clean CLIP at x_0", "latents": "noised CLIP at x_t"}[guide]
    assert ("before it was made to read latents" in reads) == (guide == "latents")


def test_likelihood_is_refused(on_model):
    with pytest.raises(UsageError, match="draws latents of a VAE, which bound no bits/dim"):
        on_model("likelihood", "--limit", "2")


# A noised CLIP


def test_finetuned_on_latents(latent_noised, tiny_latent_model):
    clip, pipe = NoisedClip.load(latent_noised), TextToImage.load(tiny_latent_model)
    assert clip.latents == pipe.space and clip.image_size == 4
    assert Vae.load(latent_noised / "vae").space == pipe.space
    assert any(name.startswith("held_out/R@5") for name in metrics(latent_noised))


def test_its_training_is_the_same_with_a_cache(finetune, latent_noised, tmp_path):
    folder = finetune("run", *CACHED, tmp_path / "cache")
    assert same(weights(folder, "noised_clip"), weights(latent_noised, "noised_clip"))
    assert list((tmp_path / "cache").glob("latents-*"))


def test_its_teacher_and_shifts_see_the_pictures(finetune, latent_noised):
    folder = finetune("run", "--distill", "1", "--max-shift", "1")
    assert not same(weights(folder, "noised_clip"), weights(latent_noised, "noised_clip"))


def test_noised_clip_measures_it(latent_noised, tmp_path):
    flags = ["--noised", str(latent_noised), "--split", "all", "--levels", "2", "--draws", "1"]
    run(["noised-clip", *flags, "--json", str(tmp_path / "n.json")])
    found = json.loads((tmp_path / "n.json").read_text())
    assert found["data"]["image_size"] == 16


def test_the_codec_of_a_noised_clip_is_that_of_its_model(finetune, tiny_run, tiny_vae, tmp_path):
    finetune("same", "--codec", tiny_vae, "--train.steps", "1")
    other = vae_folder(tmp_path / "other", seed=1)
    with pytest.raises(UsageError, match="is another VAE than that of"):
        finetune("run", "--codec", other)
    with pytest.raises(UsageError, match="draws pixels, not latents"):
        finetune("run", "--codec", tiny_vae, "--noise.schedule-from", tiny_run)
    with pytest.raises(UsageError, match="clean-below 5: the image tower as it was reads pixels"):
        finetune("run", "--noise.clean-below", "5")
    assert not (tmp_path / "run").exists()


# Refusals


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data.image-size", "18"], "18 cannot be halved 2 times"),
        (["--process", "binary"], "process binary with a codec"),
        (["--objective.loss", "vlb"], "objective.loss vlb with a codec"),
        (["--objective.loss", "hybrid"], "objective.loss hybrid with a codec"),
        (["--preview.threshold", "static"], "preview: threshold static"),
        (["--unet.image-size", "16"], "unet.image_size is 16, but .* ask for 4"),
        (["--unet.in-channels", "3"], "unet.in_channels is 3, but .* ask for 4"),
        (["--codec", "someone/no-such-vae"], "hub name it is not on this machine"),
    ],
)
def test_settings_that_do_not_go_with_latents(train, tmp_path, flags, message):
    with pytest.raises(UsageError, match=message):
        train("run", *flags)
    assert not (tmp_path / "run").exists()


def test_latents_without_a_vae(configs, shapes, tiny_clip, tmp_path):
    flags = ["--config", configs / "unet.yaml", "--data.source", shapes, "--clip", tiny_clip]
    with pytest.raises(UsageError, match="latents mean without a codec"):
        run(["train", *map(str, flags), "--latents", "mean", "--run-dir", str(tmp_path / "run")])


def test_a_vae_without_statistics(train, tmp_path):
    vae = Vae.load(vae_folder(tmp_path / "vae"))
    vae.statistics = None
    vae.save(tmp_path / "bare")
    with pytest.raises(CheckpointError, match="no statistics of its latents"):
        train("run", "--codec", tmp_path / "bare")


@pytest.mark.parametrize("how", [[], ["--dry-run", "true"]], ids=["train", "dry run"])
def test_a_foreign_vae_whose_config_names_a_scale_that_is_not_its_own(train, tmp_path, how):
    with pytest.raises(CheckpointError, match=r"is not that of these: .* channel .* measure it"):
        train("run", "--codec", foreign_vae(tmp_path / "foreign"), *how)
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_resumed_with_another_vae_or_other_latents(
    train, tiny_latent_model, tiny_vae, tmp_path
):
    shutil.copytree(tiny_latent_model, tmp_path / "run")
    more = ["--train.steps", "8"]
    with pytest.raises(CheckpointError, match="trained with another VAE than --codec names now"):
        train("run", *more, "--codec", vae_folder(tmp_path / "other", seed=1))
    with pytest.raises(CheckpointError, match="latents = sampled, now it is mean"):
        train("run", *more, "--latents", "mean")
    forget(Path(shutil.copytree(tiny_vae, tmp_path / "scaled")))
    file = tmp_path / "scaled" / "latents.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps(values | {"std": [1.0] * 4}))
    with pytest.raises(CheckpointError, match=r"latent_space\.std = "):
        train("run", *more, "--codec", tmp_path / "scaled")
