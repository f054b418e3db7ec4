"""The pictures that all evaluations of a report judge: drawn once, beside real ones.

captions of a split ── num_prompts of them ──► real picture of each
                                          └──► num_images drawn ones of each, in a row
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.errors import EmptySplitError
from textdiff.evaluation.pictures import PromptedPictures, draw_pictures, real_pictures
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig

WITH_FACTS, WITHOUT = ("val", "test"), ("train",)


@dataclass(frozen=True)
class DrawnSplit:
    """real: one picture of each of m distinct prompts of `data`. drawn: `per_prompt` of each, those
    of a prompt in a row."""

    data: CaptionedImages
    real: PromptedPictures
    drawn: PromptedPictures
    per_prompt: int

    @property
    def prompts(self) -> list[str]:
        """m distinct ones."""
        return self.real.prompts

    @property
    def owner(self) -> Int[Tensor, " n"]:
        """(m per_prompt,) which prompt each drawn picture is of."""
        return torch.arange(len(self.drawn)) // self.per_prompt


def open_splits(
    config: DataConfig, wanted: Sequence[str] | None
) -> tuple[dict[str, CaptionedImages], list[str]]:
    """By name; and why others are not there, a sentence each.

    Args:
        wanted: None: val and test where the data state what is in their pictures, else train.

    Raises:
        DataError: none of them holds anything, or data that cannot be used.
    """
    if wanted is None:
        facts = open_data(config, "all").scenes is not None
        wanted = WITH_FACTS if facts else WITHOUT
    splits, notes = {}, []
    last: EmptySplitError | None = None
    for split in wanted:
        try:
            splits[split] = open_data(config, split)
        except EmptySplitError as error:
            notes.append(f"No prompts of split {split}: {error}.")
            last = error
    if last is not None and not splits:
        raise last
    return splits, notes


def draw_splits(
    pipe: TextToImage,
    splits: Mapping[str, CaptionedImages],
    config: SamplingConfig,
    *,
    num_prompts: int,
    num_images: int,
    prompt_seed: int,
) -> dict[str, DrawnSplit]:
    """Raises UsageError: settings that the model cannot follow. DataError: as `real_pictures`."""
    drawn = {}
    for split, data in splits.items():
        real = real_pictures(data, num_prompts, prompt_seed, pipe)
        prompts = [prompt for prompt in real.prompts for _ in range(num_images)]
        print(
            f"report: drawing {len(prompts)} pictures of {len(real)} prompts of {data.title}",
            file=sys.stderr,
        )
        drawn[split] = DrawnSplit(data, real, draw_pictures(pipe, prompts, config), num_images)
    return drawn
