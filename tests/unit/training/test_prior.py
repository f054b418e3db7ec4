"""Priors as tasks: what they are shown, what is held out, and that they learn what can be known."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import pytest
import torch

from tests.helpers.embeddings import embeddings
from textdiff import checkpoint
from textdiff.commands.cli import run
from textdiff.data.embeddings import read_embeddings, write_embeddings
from textdiff.errors import CheckpointError, UsageError
from textdiff.pipeline.prior import Prior
from textdiff.training.launch import accelerator_for
from textdiff.training.specs.prior import prior_spec
from textdiff.training.tasks.autoregressive_prior import log_frequencies
from textdiff.types import Batch

KINDS = ["diffusion", "autoregressive"]


@pytest.fixture
def train(configs, tiny_embeddings, tmp_path):
    """Trains; gives the run folder."""

    def trained(*flags: str, folder: str = "run"):
        usual = ["--config", configs / "prior.yaml", "--embeddings", tiny_embeddings]
        run(["train-prior", *map(str, [*usual, "--run-dir", tmp_path / folder]), *flags])
        return tmp_path / folder

    return trained


@pytest.fixture
def task(configs, tiny_embeddings):
    def of(kind: str, **changes):
        from tests.helpers.command import settings_of

        flags = ["--config", configs / "prior.yaml", "--embeddings", tiny_embeddings]
        settings = settings_of(["train-prior", *flags, "--kind", kind, "--run-dir", "unused"])
        return prior_spec(settings.model_copy(update=changes)).build_task(accelerator_for("no"))

    return of


def batch(path, rows: list[int]) -> Batch:
    data = read_embeddings(path).of_split("train")
    ids, image = data.read(rows)
    captions = [data.captions[row][0] for row in ids]
    return Batch(image, captions, torch.tensor(ids), torch.zeros(len(ids), dtype=torch.int64))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_has_the_same_loss_in_any_batch(task, tiny_embeddings, kind):
    trained = task(kind)
    together = trained.losses(trained.model, batch(tiny_embeddings, [0, 1, 2, 3]), step=7)["loss"]
    alone = trained.losses(trained.model, batch(tiny_embeddings, [2]), step=7)["loss"]
    torch.testing.assert_close(together[2:3], alone)
    again = trained.losses(trained.model, batch(tiny_embeddings, [2]), step=8)["loss"]
    assert kind == "autoregressive" or not torch.allclose(alone, again)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dropped_caption_is_not_seen(task, tiny_embeddings, kind):
    """The same embeddings with another's captions: only with them dropped the loss stays."""
    rows = batch(tiny_embeddings, [0, 1, 2, 3])
    swapped = replace(rows, captions=rows.captions[::-1])
    for drop, same in ((1.0, True), (0.0, False)):
        trained = task(kind, caption_drop=drop)
        with torch.no_grad():
            trained.model.embedding_proj.weight.mul_(5)
        one, other = (trained.losses(trained.model, each, 0)["loss"] for each in (rows, swapped))
        assert torch.allclose(one, other, atol=1e-6) is same


def test_diffusion_is_given_scaled_embeddings(task, tiny_embeddings):
    """Of a network that says x_0 itself, the loss is 0."""
    trained, rows = task("diffusion"), batch(tiny_embeddings, [0, 1])
    found = trained.losses(lambda x_t, t, text: rows.image * math.sqrt(32), rows, 0)["loss"]
    assert found.tolist() == pytest.approx([0, 0], abs=1e-9)


def test_standard_scaling_is_that_of_the_training_rows(task, tiny_embeddings):
    data = read_embeddings(tiny_embeddings)
    network = task("diffusion", scaling="standard").model
    scaled = network.scaled(data.of_split("train").image)
    torch.testing.assert_close(scaled.mean(0), torch.zeros(32), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(32), atol=1e-3, rtol=0)


def test_codes_are_those_of_the_training_rows(task, tiny_embeddings):
    trained = task("autoregressive")
    codes = trained.network.codes.encode(trained.data.image)
    assert codes.amin(0).tolist() == [0, 0, 0]
    assert codes.amax(0).tolist() == [3, 3, 3]
    found = trained.losses(trained.model, batch(tiny_embeddings, [0, 1]), 0)
    assert found["nats_per_code"].mean().item() == pytest.approx(math.log(4), abs=0.7)
    assert (found["loss"] > found["nats_per_code"]).any()  # the dot's


def test_frequencies_of_codes():
    found = log_frequencies(torch.tensor([[0, 1], [0, 2]]), 3).exp()
    assert found[0].tolist() == pytest.approx([3 / 5, 1 / 5, 1 / 5])
    assert found[1].tolist() == pytest.approx([1 / 5, 2 / 5, 2 / 5])


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_numbers_say_the_same_twice(task, kind, tmp_path):
    trained = task(kind)
    with torch.no_grad():
        one, other = (trained.evaluate(0, run=None) for _ in range(2))
    assert one == other
    assert {"held_out/cosine", "held_out/cosine_of_another", "held_out/R@1"} < one.keys()
    assert "cosine of drawn embeddings to their image" in trained.in_words(one)
    (line, *_) = trained.verdict(one, 0)
    assert line.startswith("before training: embeddings drawn for held-out captions find")


def test_without_held_out_rows_nothing_is_said(task):
    trained = task("diffusion")
    trained.held_out = None
    assert trained.evaluate(0, run=None) == {}
    assert trained.verdict({}, 0) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_which_embedding_a_caption_has(train, tiny_embeddings, kind):
    """Eight captions, an embedding each: learned by heart they are found nearly always."""
    flags = ["--train.steps", "300", "--train.lr", "3e-3", "--train.eval-every", "300"]
    flags += ["--transformer.width", "32", "--train.batch-size", "16", "--train.log-every", "50"]
    more = ["--codes.num-components", "7", "--codes.num-buckets", "16"]
    more += ["--train.checkpoint-every", "300"]
    folder = train("--kind", kind, "--caption-drop", "0", "--ema-decay", "none", *flags, *more)
    rows = read_embeddings(tiny_embeddings).of_split("train")
    drawn = Prior.load(folder)([texts[0] for texts in rows.captions], num_candidates=1)
    dots = drawn @ rows.image.T
    assert (dots.argmax(dim=1) == torch.arange(8)).float().mean() >= 7 / 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_has_the_same_bits(train, kind, tmp_path):
    whole = train("--kind", kind, "--train.keep-checkpoints", "2", "--transformer.dropout", "0.1")
    half = shutil.copytree(whole, tmp_path / "half")
    shutil.rmtree(half / "checkpoints" / "step-000004")
    train("--kind", kind, "--resume", "must", "--transformer.dropout", "0.1", folder="half")
    for stem in ("prior", "ema", "optimizer"):
        one, other = (
            checkpoint.load_tensors(each / "checkpoints" / "step-000004" / f"{stem}.safetensors")
            for each in (whole, half)
        )
        assert one.keys() == other.keys()
        assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_another_file_or_kind_is_no_resumed_run(train, tiny_embeddings, tmp_path):
    train("--train.steps", "1")
    with pytest.raises(CheckpointError, match=r"prior\.kind = diffusion, now it is autoregressive"):
        train("--kind", "autoregressive")
    content = read_embeddings(tiny_embeddings)
    other = replace(content, captions=content.captions[::-1])
    write_embeddings(tmp_path / "other.safetensors", other)
    with pytest.raises(CheckpointError, match="other captions of the same images"):
        train("--embeddings", str(tmp_path / "other.safetensors"))


def test_overfit_check(train, capsys):
    train("--check", "overfit", "--train.lr", "1e-2")
    assert "passed: loss" in capsys.readouterr().out


# What cannot be used


def test_embeddings_of_another_clip(train, other_clip):
    with pytest.raises(UsageError, match=r"of the CLIP [0-9a-f]{16}, --clip .* take both"):
        train("--clip", str(other_clip))


def test_embeddings_of_another_normalisation(train, tiny_embeddings, tmp_path):
    content = read_embeddings(tiny_embeddings)
    space = content.space.model_copy(update={"normalisation": "none"})
    write_embeddings(tmp_path / "raw.safetensors", replace(content, space=space))
    with pytest.raises(UsageError, match=r"normalisation none, .* of normalisation unit"):
        train("--embeddings", str(tmp_path / "raw.safetensors"))


def test_fewer_rows_than_components(train):
    with pytest.raises(UsageError, match=r"num-components 9: 9 components of 8 embeddings .* at m"):
        train("--kind", "autoregressive", "--codes.num-components", "9")


def test_a_preview_of_more_steps_than_there_are(train, tmp_path):
    with pytest.raises(UsageError, match=r"preview: num_steps must lie in 1\.\.100, got 101"):
        train("--preview.num-steps", "101")
    assert not (tmp_path / "run").exists()


def test_a_clip_that_is_no_longer_there(train, tmp_path):
    write_embeddings(tmp_path / "e.safetensors", embeddings(clip=str(tmp_path / "gone")))
    with pytest.raises(CheckpointError, match="name the place with --clip"):
        train("--embeddings", str(tmp_path / "e.safetensors"))


def test_log_has_nats_beside_what_knows_no_caption(tiny_priors):
    lines = (tiny_priors / "autoregressive" / "metrics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["held_out/nats_per_code_uniform"] == pytest.approx(math.log(4))
    assert 0 < last["held_out/nats_per_code_unigram"] < 3
