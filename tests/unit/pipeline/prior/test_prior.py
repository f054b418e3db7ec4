"""A prior as a whole: what it draws, folders that load, folders that do not."""

from __future__ import annotations

import shutil

import pytest
import torch

from textdiff import checkpoint
from textdiff.clip import ClipModel
from textdiff.config import build, read_yaml, to_yaml
from textdiff.errors import CheckpointError, UsageError
from textdiff.manifests import write_manifest
from textdiff.pipeline.prior import Prior, PriorConfig, PriorSampling

PROMPTS = ["red circle", "green cross", "", "red circle"]
FEW = {"num_steps": 3, "seed": 5}


@pytest.fixture(scope="module", params=["diffusion", "autoregressive"])
def folder(request, tiny_priors):
    return tiny_priors / request.param


@pytest.fixture(scope="module")
def prior(folder) -> Prior:
    return Prior.load(folder)


def test_unit_embeddings_for_each_prompt(prior):
    drawn = prior(PROMPTS, num_images=2, **FEW)
    assert drawn.shape == (8, 32)
    assert drawn.norm(dim=1).tolist() == pytest.approx([1] * 8)
    assert len({tuple(row) for row in drawn.tolist()}) > 4
    assert prior([], **FEW).shape == (0, 32)


def test_an_embedding_of_a_seed_is_the_same_in_any_batch(prior):
    whole = prior(PROMPTS, **FEW)
    torch.testing.assert_close(prior(PROMPTS, batch_size=3, **FEW), whole)
    torch.testing.assert_close(prior(PROMPTS[1:], first=1, **FEW), whole[1:])


def test_the_candidate_nearest_to_the_text_is_kept(prior):
    config = PriorSampling(num_candidates=4, **FEW)
    candidates, text = prior.candidates(PROMPTS, config), prior.text_embeddings(PROMPTS)
    dots = (candidates * text[:, None]).sum(-1)
    kept = (prior(PROMPTS, num_candidates=4, **FEW) * text).sum(-1)
    torch.testing.assert_close(kept, dots.amax(dim=1))
    fewer = prior.candidates(PROMPTS, PriorSampling(num_candidates=2, **FEW))
    torch.testing.assert_close(fewer, candidates[:, :2])


def test_text_embeddings_are_those_of_the_clip(prior):
    features = prior.clip.encode_text(PROMPTS).projected
    expected = torch.nn.functional.normalize(features, dim=1)
    torch.testing.assert_close(prior.text_embeddings(PROMPTS), expected)


def test_saved_and_loaded_it_draws_the_same(prior, tmp_path):
    prior.save(tmp_path / "saved")
    assert torch.equal(Prior.load(tmp_path / "saved")(PROMPTS, **FEW), prior(PROMPTS, **FEW))


def test_settings_that_are_none(prior):
    with pytest.raises(UsageError, match="num_candidates"):
        prior("red circle", num_candidates=0)
    with pytest.raises(UsageError, match="unknown key 'steps'"):
        prior("red circle", steps=3)


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_another_clip_in_its_folder_is_refused_with_both_hashes(copy, other_clip):
    shutil.rmtree(copy / "clip")
    shutil.copytree(other_clip, copy / "clip")
    there, wanted = (
        ClipModel.load(copy / "clip").weights_hash(),
        read_yaml(copy / "prior.yaml")["space"]["clip_weights"],
    )
    with pytest.raises(CheckpointError, match=f"is the CLIP {there}, .* the CLIP {wanted}; put"):
        Prior.load(copy)


def test_what_was_trained_otherwise_than_the_file_says_now(copy):
    config = build(PriorConfig, [("prior", read_yaml(copy / "prior.yaml"))])
    changes = {"schedule": config.schedule.model_copy(update={"name": "linear"})}
    if config.kind == "autoregressive":
        changes = {"codes": config.codes.model_copy(update={"num_dots": 9})}
    (copy / "prior.yaml").write_text(to_yaml(config.model_copy(update=changes)))
    write_manifest(copy, ["prior.yaml"])
    with pytest.raises(CheckpointError, match=r"but .* was trained with"):
        Prior.load(copy)


def test_folders_that_are_no_prior(copy, tiny_run, tmp_path):
    with pytest.raises(CheckpointError, match=r"has no prior\.yaml; give a run folder of textdiff"):
        Prior.load(tiny_run)
    with pytest.raises(CheckpointError, match="does not exist"):
        Prior.load(tmp_path / "none")
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        Prior.load(copy)


def test_weights_of_another_shape(copy):
    newest = next(checkpoint.checkpoints(copy / "checkpoints"))
    tensors = checkpoint.load_tensors(newest / "ema.safetensors")
    name = "norm_out.weight"
    checkpoint.save_tensors(copy / "prior.safetensors", {**tensors, name: torch.ones(3)})
    with pytest.raises(CheckpointError, match=r"'norm_out\.weight' has shape"):
        Prior.load(copy)
