"""Bounds of the shapes: against the bound by hand, and what may and may not change them."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff import TextToImage
from textdiff.binary.config import BinaryConfig
from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.diffusion.likelihood import bound_term, bound_terms, prior_term
from textdiff.errors import EmptySplitError, UsageError
from textdiff.evaluation.likelihood.measure import (
    captions_of,
    measure_likelihood,
    open_split,
    strata_of,
)
from textdiff.evaluation.likelihood.result import LikelihoodResult
from textdiff.metrics.likelihood import noise_of
from textdiff.models import UNet
from textdiff.pictures import to_float
from textdiff.pipeline import ModelConfig
from textdiff.sampling.threshold import static_threshold


@pytest.fixture
def data(shapes) -> CaptionedImages:
    """The four test images."""
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "test")


def totals(result: LikelihoodResult) -> list[float]:
    """bits/dim of each image with its first caption."""
    return result.per_picture["first"]


def bound_by_hand(
    pipe: TextToImage, data: CaptionedImages, names: list[str], seed: int, clip: bool = True
) -> list[float]:
    """bits/dim of each named image, sigma^2 = beta, all timesteps."""
    indices = [data.identifiers.index(name) for name in names]
    x_0 = to_float(data.images(indices))
    denoise = pipe.denoiser(pipe.clip.conditioning([data.captions[k][0] for k in indices]))
    if clip:
        denoise = static_threshold(denoise, pipe.schedule)
    steps = [torch.full((len(x_0),), t) for t in range(pipe.schedule.num_timesteps)]
    term = partial(bound_term, pipe.schedule, variance="fixed_large")
    terms = bound_terms(denoise, pipe.schedule, x_0, noise_of(seed, names, x_0), term, steps)
    return (prior_term(pipe.schedule, x_0) + sum(bits for _, bits in terms)).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("clip", [True, False])
def test_bound_is_that_of_the_images_and_their_captions(pipe, data, clip):
    result = measure_likelihood(pipe, data, seed=3, batch_size=3, clip_denoised=clip)
    assert len(totals(result)) == result.pictures == 4
    names = result.per_picture["identifiers"]
    by_hand = bound_by_hand(pipe, data, names, 3, clip)
    assert totals(result) == pytest.approx(by_hand, rel=1e-5)
    assert totals(result) != pytest.approx(bound_by_hand(pipe, data, names, 3, not clip), rel=1e-3)
    assert result.bounds["first"].total.value == pytest.approx(sum(by_hand) / 4, rel=1e-5)


@pytest.mark.slow
def test_estimate_is_near_the_bound_and_new_for_each_seed(pipe, data):
    exact, one, other = (
        measure_likelihood(pipe, data, seed=seed, estimate=count).bounds["first"].total.value
        for seed, count in ((0, None), (0, 50), (1, 50))
    )
    assert exact != one != other
    assert one == pytest.approx(exact, rel=0.05)


def test_batch_size_does_not_change_the_numbers(pipe, data):
    alone, together = (
        totals(measure_likelihood(pipe, data, num_steps=4, batch_size=size)) for size in (1, 4)
    )
    assert alone == pytest.approx(together, rel=1e-5)


def test_float64_agrees_with_float32(pipe, data):
    single, double = (
        totals(measure_likelihood(pipe, data, num_steps=4, dtype=dtype))
        for dtype in (torch.float32, torch.float64)
    )
    assert double == pytest.approx(single, rel=1e-4)
    assert double != single


def test_number_and_choice_of_images(pipe, data):
    def chosen(count: int | None, seed: int) -> list[str]:
        result = measure_likelihood(pipe, data, num_steps=2, num_images=count, image_seed=seed)
        return result.per_picture["identifiers"]

    everything, other = chosen(None, 0), chosen(None, 1)
    assert chosen(2, 0) == everything[:2]
    assert sorted(everything) == sorted(data.identifiers)
    assert other != everything
    assert sorted(other) == sorted(everything)


def test_variances_give_other_bounds(pipe, data):
    large, small, auto = (
        totals(measure_likelihood(pipe, data, num_steps=4, variance=variance))
        for variance in ("fixed_large", "fixed_small", "auto")
    )
    assert auto == large
    assert small != pytest.approx(large, rel=1e-3)


@pytest.mark.parametrize(("num_timesteps", "tolerance"), [(1, 1e-5), (20, 0.1)])
def test_binary_model_that_knows_nothing_takes_one_bit_per_pixel(
    pipe, data, num_timesteps, tolerance
):
    """An untrained network says 0: fair coins. One step leaves nothing to chance."""
    unet = pipe.config.unet.model_copy(update={"in_channels": 1})
    binary = BinaryConfig(num_timesteps=num_timesteps)
    config = ModelConfig(clip=pipe.config.clip, process="binary", binary=binary, unet=unet)
    torch.manual_seed(0)
    result = measure_likelihood(TextToImage(UNet(unet), pipe.clip, config), data)
    assert result.bounds["first"].total.value == pytest.approx(1, abs=tolerance)


# Captions


@given(st.lists(st.text(), min_size=2, max_size=20, unique=True), st.integers(0, 99))
def test_shuffled_captions_are_those_of_other_images(captions, seed):
    shuffled = captions_of("shuffled", captions, seed)
    assert sorted(shuffled) == sorted(captions)
    assert all(one != other for one, other in zip(shuffled, captions, strict=True))


def test_a_single_image_has_no_other_caption():
    with pytest.raises(UsageError, match="--captions shuffled needs two images or more"):
        captions_of("shuffled", ["red circle"], 0)


def test_kinds_of_captions_are_compared_image_by_image(pipe, data):
    kinds = ["first", "none", "shuffled"]
    result = measure_likelihood(pipe, data, num_steps=4, captions=kinds)
    assert list(result.bounds) == kinds
    for kind in kinds[1:]:
        pairs = zip(result.per_picture[kind], totals(result), strict=True)
        by_image = [other - first for other, first in pairs]
        difference = result.differences[f"{kind} - first"]
        assert difference.value == pytest.approx(sum(by_image) / 4)
        assert min(by_image) <= difference.low <= difference.high <= max(by_image)
        assert any(by_image)


# Strata and splits


@pytest.mark.parametrize(("num_steps", "count"), [(100, 101), (4, 5)])
def test_more_strata_than_steps(num_steps, count):
    cause = rf"--estimate: the number of strata must lie in 2\.\.{num_steps}, got {count}"
    with pytest.raises(UsageError, match=cause):
        strata_of(num_steps, count)


def held_out_as(shapes: Path, folder: Path, split: str) -> DataConfig:
    """A copy of the shapes, all of them in one split."""
    shutil.copytree(shapes, folder)
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    rows = [json.dumps({**row, "split": split}) for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join(rows))
    fractions = {"val_fraction": 0, "test_fraction": 0}
    return DataConfig(source=str(folder), image_size=16, min_side=4, **fractions)


def test_auto_is_test_or_else_val(shapes, tmp_path):
    assert open_split(DataConfig(source=str(shapes), min_side=4), "auto").split == "test"
    assert open_split(held_out_as(shapes, tmp_path / "val", "val"), "auto").split == "val"


def test_nothing_held_out(shapes, tmp_path):
    config = held_out_as(shapes, tmp_path / "train", "train")
    with pytest.raises(EmptySplitError, match="its val split is empty"):
        open_split(config, "auto")
    assert open_split(config, "train").split == "train"
