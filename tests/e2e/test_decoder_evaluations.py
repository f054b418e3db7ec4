"""Evaluations of an unCLIP decoder: with a prior, with each picture's own embedding, or refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.commands.cli import run
from textdiff.errors import DataError, UsageError
from textdiff.evaluation.held_out import measure
from textdiff.pipeline.prior import Prior

FEW = ["--num-steps", "2"]
DRAWING = {
    "clip-score": ["--num-prompts", "3"],
    "prompt-following": ["--num-prompts", "3"],
    "distribution": ["--num-prompts", "3", "--num-images", "2"],
}


@pytest.fixture
def flags(tiny_decoder, other_clip):
    """Of an evaluation of the decoder."""

    def of(command: str) -> list[str]:
        judge = ["--features" if command == "distribution" else "--judge", str(other_clip)]
        return [command, "--model", str(tiny_decoder), *judge, *FEW, *DRAWING[command]]

    return of


@pytest.mark.parametrize("command", DRAWING)
def test_pictures_are_drawn_with_a_prior_which_the_protocol_names(
    command, flags, tiny_prior, tmp_path
):
    out = tmp_path / "out.json"
    prior = ["--prior", str(tiny_prior), "--prior-steps", "2"]
    run([*flags(command), *prior, "--split", "train", "--json", str(out)])
    weights = Prior.load(tiny_prior, "cpu").weights_hash()
    assert json.loads(out.read_text())["model"]["prior"] == weights


@pytest.mark.parametrize("command", DRAWING)
def test_without_one_they_are_refused(command, flags):
    with pytest.raises(UsageError, match=r"is an unCLIP decoder, .* give a prior"):
        run([*flags(command), "--split", "train"])


def test_a_prior_with_a_model_that_is_no_decoder_is_refused(tiny_run, other_clip, tiny_prior):
    model = ["--model", str(tiny_run), "--judge", str(other_clip), *FEW, "--split", "train"]
    with pytest.raises(UsageError, match="prior with a model that is no unCLIP decoder"):
        run(["prompt-following", *model, "--prior", str(tiny_prior)])


def test_composition_asks_for_facts_of_a_decoder_too(tiny_decoder):
    with pytest.raises(DataError, match="without facts"):
        run(["composition", "--model", str(tiny_decoder), "--prior", "text"])


def test_a_sweep_of_guidance(tiny_decoder, other_clip, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "FRECHET_RESAMPLES", 5)
    monkeypatch.setattr(measure, "RESAMPLES", 50)
    second = tmp_path / "second"
    clip = ClipModel.load(other_clip)
    clip.model.logit_scale.data.add_(0.5)
    clip.save(second)
    few = ["--num-prompts", "3", "--scales", "1", "2", "--clip-scales", "0", *FEW]
    command = ["guidance", "--model", str(tiny_decoder), "--judges", str(other_clip), str(second)]
    out = tmp_path / "sweep.json"
    run([*command, *few, "--prior", "text", "--json", str(out)])
    names = [each["name"] for each in json.loads(out.read_text())["settings"]]
    assert names == ["unguided", "CFG 2"]
    with pytest.raises(UsageError, match="give a prior"):
        run([*command, *few])


@pytest.mark.slow
def test_a_report(tiny_decoder, tmp_path):
    page = ["--out", str(tmp_path / "page.html"), "--split", "train", "--num-prompts", "3", *FEW]
    run(["report", "--run", str(tiny_decoder), "--prior", "text", *page])
    assert (tmp_path / "page.html").stat().st_size > 1000
    with pytest.raises(UsageError, match="give a prior"):
        run(["report", "--run", str(tiny_decoder), *page])


@pytest.fixture
def without_embeddings(monkeypatch):
    """Makes a decoder see none, whatever it is given."""

    def blind() -> None:
        seeing = TextToImage.conditioning_of

        def conditioning_of(pipe, prompts, pictures):
            seen = seeing(pipe, prompts, pictures)
            assert seen.image is not None
            return replace(seen, image=torch.zeros_like(seen.image))

        monkeypatch.setattr(TextToImage, "conditioning_of", conditioning_of)

    return blind


def test_likelihood_is_given_each_pictures_own_embedding(
    tiny_decoder, without_embeddings, tmp_path
):
    out, bits = tmp_path / "bits.json", []
    for blind in (lambda: None, without_embeddings):
        blind()
        run(["likelihood", "--model", str(tiny_decoder), "--estimate", "3", "--json", str(out)])
        bits.append(json.loads(out.read_text())["per_picture"]["first"])
    assert len(bits[0]) == 4
    assert all(own != none for own, none in zip(*bits, strict=True))


def test_inversion_is_given_each_pictures_own_embedding(tiny_decoder, without_embeddings, tmp_path):
    out, errors = tmp_path / "inversion.json", []
    for blind in (lambda: None, without_embeddings):
        blind()
        run(["inversion", "--model", str(tiny_decoder), "--num-steps", "3", "--json", str(out)])
        errors.append(json.loads(out.read_text())["per_item"]["3"]["values"]["rmse"])
    assert all(own != none for own, none in zip(*errors, strict=True))
