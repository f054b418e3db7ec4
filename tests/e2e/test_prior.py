"""unCLIP's prior from pictures to numbers as people type it, and what it says of bad input."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch

from tests.helpers.warm import python
from textdiff.commands import cli
from textdiff.data.embeddings import read_embeddings, write_embeddings


@pytest.mark.slow
def test_from_pictures_to_numbers(configs, shapes, tiny_clip, tmp_path):
    def finished(*arguments) -> str:
        done = python(*arguments)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert "Warning" not in done.stderr
        return done.stdout

    file, run, out = tmp_path / "e.safetensors", tmp_path / "run", tmp_path / "numbers.json"
    flags = ["--clip", tiny_clip, "--data", shapes, "--feature-cache", "off", "--out", file]
    assert finished("scripts/embed.py", *flags) == (
        "embeddings of 16 images (train 8, val 4, test 4) and 16 captions, 32 numbers each: "
        f"{file}\n"
    )
    for picture in (copy := shutil.copytree(tmp_path, tmp_path / "copy")).glob("*.png"):
        picture.unlink()
    flags = ["--config", configs / "prior.yaml", "--embeddings", copy / "e.safetensors"]
    shown = finished("scripts/train_prior.py", *flags, "--run-dir", run)
    assert "embeddings of" in shown and "finished at step 4" in shown
    flags = ["--prior", run, "--embeddings", file, "--num-steps", "2", "--candidates", "1", "2"]
    assert "Embeddings for 4 images of" in finished("evals/prior.py", *flags, "--json", out)
    found = json.loads(out.read_text())
    assert list(found["results"])[:2] == ["best of 1", "best of 2"]
    assert found["prior"]["kind"] == "diffusion"
    assert "B - A" in finished("evals/compare.py", out, out)
    shown = finished("-m", "textdiff", "export", "--model", run, "--out", tmp_path / "exported")
    assert shown == f"{tmp_path / 'exported'}/README.md has the lines that draw embeddings\n"


@pytest.fixture
def fails(capsys):
    """Runs a command that ends with `code`; its last line."""

    def message(code: int, *arguments) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        shown = capsys.readouterr().err.strip().splitlines()
        assert ended.value.code == code, shown
        return shown[-1].removeprefix("textdiff: error: ")

    return message


@pytest.fixture
def changed(tiny_embeddings, tmp_path):
    """The embeddings with some of their parts replaced, in a file."""

    def file(**changes):
        write_embeddings(
            tmp_path / "e.safetensors", replace(read_embeddings(tiny_embeddings), **changes)
        )
        return tmp_path / "e.safetensors"

    return file


def space(tiny_embeddings, **changes):
    return read_embeddings(tiny_embeddings).space.model_copy(update=changes)


def test_embeddings_of_another_clip(fails, changed, tiny_embeddings, tiny_priors, tmp_path):
    other = changed(space=space(tiny_embeddings, clip_weights="0123456789abcdef"))
    hashes = ("0123456789abcdef", space(tiny_embeddings).clip_weights)
    train = ["train-prior", "--run-dir", tmp_path / "run", "--embeddings", other]
    evaluate = ["prior", "--prior", tiny_priors / "diffusion", "--embeddings", other]
    for command in (train, evaluate):
        message = fails(2, *command)
        assert all(each in message for each in hashes)
        assert "take both from one CLIP" in message


def test_embeddings_of_another_normalisation(fails, changed, tiny_embeddings, tiny_priors):
    raw = changed(space=space(tiny_embeddings, normalisation="none"))
    message = fails(2, "prior", "--prior", tiny_priors / "diffusion", "--embeddings", raw)
    assert "normalisation unit" in message and "normalisation none" in message


def test_embeddings_that_are_not_finite(fails, changed, tiny_embeddings, tmp_path):
    image = read_embeddings(tiny_embeddings).image.clone()
    image[2, 5] = torch.nan
    message = fails(
        3, "train-prior", "--run-dir", tmp_path / "run", "--embeddings", changed(image=image)
    )
    assert "1 of 16 image embeddings are NaN or infinite, the first is number 2" in message
    assert not (tmp_path / "run").exists()


def test_embeddings_without_rows(fails, changed, tiny_embeddings, tmp_path):
    empty = changed(image=torch.zeros(0, 32), identifiers=[], splits=[], captions=[])
    message = fails(3, "train-prior", "--run-dir", tmp_path / "run", "--embeddings", empty)
    assert "holds no embedding; embed data that have images" in message


def test_no_rows_to_train_on(fails, changed, tmp_path):
    only = changed(splits=["test"] * 16)
    message = fails(3, "train-prior", "--run-dir", tmp_path / "run", "--embeddings", only)
    assert "no row of split 'train'; there are test (16)" in message


def test_fewer_rows_than_components(fails, tiny_embeddings, tmp_path):
    flags = ["--run-dir", tmp_path / "run", "--embeddings", tiny_embeddings]
    message = fails(2, "train-prior", "--kind", "autoregressive", *flags)
    assert message == (
        "--codes.num-components 32: 32 components of 8 embeddings of 32 numbers; there are 8 at "
        "most; give fewer"
    )


def test_files_that_are_no_embeddings(fails, tiny_clip, tmp_path):
    weights = tiny_clip / "open_clip_model.safetensors"
    flags = ["train-prior", "--run-dir", tmp_path / "run", "--embeddings"]
    assert "'textdiff embed' writes one" in fails(3, *flags, weights)
    assert "cannot be read as embeddings" in fails(3, *flags, tmp_path / "none")


def test_folders_that_are_no_prior(fails, tiny_embeddings, tiny_run, tiny_clip):
    for folder in (tiny_run, tiny_clip):
        message = fails(4, "prior", "--prior", folder, "--embeddings", tiny_embeddings)
        assert message.endswith(
            "has no prior.yaml; give a run folder of textdiff train-prior, or an exported model"
        )


def test_a_prior_is_no_model_of_pictures(fails, tiny_priors, tmp_path):
    prior = tiny_priors / "autoregressive"
    message = fails(4, "sample", "--model", prior, "--prompt", "a", "--out", tmp_path / "out")
    assert "has no model.yaml" in message
    export = ["export", "--model", prior, "--out", tmp_path / "exported"]
    assert "kind autoregressive has no class in diffusers" in fails(2, *export)
    assert "--sampler is for models of pictures" in fails(2, *export, "--sampler", "ddim")
