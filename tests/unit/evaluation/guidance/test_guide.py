"""The CLIP that guides as one that reads pictures; who may not evaluate."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from textdiff.clip import ClipModel, NoisedClip
from textdiff.commands.cli import run
from textdiff.data import DataConfig, open_data
from textdiff.errors import UsageError
from textdiff.evaluation.evaluators import load_evaluators
from textdiff.evaluation.guidance.guide import as_evaluator, find_guide, involved_clips
from textdiff.pictures import to_float
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.sections import ClipGuidanceConfig


def guided_by(**guidance: object) -> SamplingConfig:
    return SamplingConfig(clip_guidance=ClipGuidanceConfig(**guidance))


@pytest.fixture(scope="module")
def noised(tmp_path_factory, noised_flags) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "noised"
    run(["finetune-clip", *noised_flags, "--train.steps", "2", "--run-dir", str(folder)])
    return folder


@pytest.fixture
def data(shapes):
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")


@pytest.mark.parametrize(
    ("config", "form"),
    [
        ({}, "clean CLIP at x_0"),
        ({"through_unet": False}, "clean CLIP at x_0 past the U-Net"),
        ({"guide": "NOISED"}, "noised CLIP at x_t"),
        ({"guide": "NOISED", "at": "x_0"}, "noised CLIP at x_0"),
    ],
)
def test_forms_of_guidance(pipe, noised, config, form):
    named = {k: str(noised) if v == "NOISED" else v for k, v in config.items()}
    guide = find_guide(pipe, guided_by(**named), "its name")
    assert (guide.form, guide.name) == (form, "its name")


def test_a_clip_that_cannot_guide_so(pipe):
    with pytest.raises(UsageError, match="takes no timestep, so it cannot read x_t"):
        find_guide(pipe, guided_by(at="x_t"), "clip")


def test_a_noised_clip_reads_pictures_without_noise(noised, data):
    evaluator, reads = as_evaluator(NoisedClip.load(noised).freeze(), "x_t")
    images = data.images(range(4))
    expected = ClipModel.load(noised / "clean").freeze().encode_image(images)
    assert torch.equal(evaluator.encode_image(images), expected)
    assert reads == "pictures without noise"


@pytest.mark.parametrize(("at", "timestep"), [("x_t", 20), ("x_0", 0)])
def test_the_tower_that_guides_is_asked(noised_with_clean, data, at, timestep):
    guide = NoisedClip.load(noised_with_clean).freeze()
    evaluator, reads = as_evaluator(guide, at)
    images = data.images(range(4))
    expected = guide.encode_image(to_float(images), torch.full((4,), timestep))
    torch.testing.assert_close(evaluator.encode_image(images), expected, rtol=1e-5, atol=1e-5)
    assert evaluator.weights_hash() == guide.at(timestep).weights_hash()
    assert reads == ("pictures of timestep 20" if timestep else "pictures without noise")


def test_the_towers_of_a_noised_clip_that_keeps_its_clean_one_differ(noised_with_clean):
    """Else the test above would say little."""
    guide, x_0 = NoisedClip.load(noised_with_clean).freeze(), torch.zeros(1, 3, 16, 16)
    first, later = (guide.encode_image(x_0, torch.tensor([t])) for t in (0, 20))
    assert torch.cosine_similarity(first, later).item() < 0.999


def test_evaluators_that_took_part(pipe, noised, tiny_clip, other_clip):
    guide = find_guide(pipe, guided_by(guide=str(noised)), "a-guide")
    involved = involved_clips(pipe, "a-model", guide)
    with pytest.raises(UsageError, match="is the CLIP that guides, a-guide; give one of another"):
        load_evaluators("--evaluators", [str(noised / "clean")], "cpu", involved)
    guide = find_guide(pipe, guided_by(guide=str(other_clip)), "a-guide")
    involved = involved_clips(pipe, "a-model", guide)
    with pytest.raises(UsageError, match="is the CLIP that a-model was trained with"):
        load_evaluators("--evaluators", [str(tiny_clip)], "cpu", involved)
