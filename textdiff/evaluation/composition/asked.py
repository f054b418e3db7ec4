"""Pictures of prompts whose facts are known, by split: drawn now or before, and the real ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.data.scenes.facts import Scene
from textdiff.errors import DataError
from textdiff.evaluation.pictures import (
    PromptedPictures,
    captioned_pictures,
    draw_pictures,
    real_pictures,
)
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.types import Pictures


@dataclass(frozen=True)
class Asked:
    """Pictures (n, 3, S, S) uint8 of m prompts.

    prompts: m distinct ones. scenes: what each says. prompt: (n,) which one each picture is of.
    """

    prompts: list[str]
    scenes: list[Scene]
    images: Pictures
    prompt: Int[Tensor, " n"]

    def scene_of(self, picture: int) -> Scene:
        return self.scenes[int(self.prompt[picture])]


@dataclass(frozen=True)
class PromptedPair:
    """Drawn pictures, and a real one of each of their prompts, numbered alike."""

    drawn: Asked
    real: Asked


def drawn_and_real(
    data: CaptionedImages,
    pipe: TextToImage,
    config: SamplingConfig,
    *,
    num_prompts: int,
    num_images: int,
    prompt_seed: int,
) -> PromptedPair:
    """Up to `num_prompts` distinct captions, chosen by the seed; `num_images` pictures of each.

    Raises:
        DataError: data without facts, or as `real_pictures`.
        UsageError: settings that the model cannot follow.
    """
    scenes = scenes_by_caption(data)
    real = real_pictures(data, num_prompts, prompt_seed, pipe)
    prompts = [prompt for prompt in real.prompts for _ in range(num_images)]
    drawn = draw_pictures(pipe, prompts, config)
    return PromptedPair(asked_for(drawn, scenes), asked_for(real, scenes))


def open_given(folder: str, data: DataConfig) -> tuple[PromptedPictures, DataConfig]:
    """What `sample` drew into a folder; and `data` with pictures as large, unless told otherwise.

    Raises:
        DataError: no such pictures.
    """
    config = data.model_copy(update={"source": folder, "kind": "drawn"})
    if "image_size" not in data.model_fields_set:
        width, _ = open_data(config, "all").original_size(0)
        data, config = (each.model_copy(update={"image_size": width}) for each in (data, config))
    return captioned_pictures(open_data(config, "all")), data


def given_and_real(
    given: PromptedPictures, splits: Mapping[str, CaptionedImages]
) -> dict[str, PromptedPair]:
    """The given pictures by the split whose caption is their prompt, where there are any; says how
    many are of no prompt of these splits.

    Raises:
        DataError: none is.
    """
    pictures, known = {}, 0
    for split, data in splits.items():
        scenes = scenes_by_caption(data)
        drawn = asked_for(given, scenes)
        known += len(drawn.prompt)
        if drawn.prompts:
            real = real_of(data, drawn.prompts)
            pictures[split] = PromptedPair(drawn, asked_for(real, scenes))
    names = ", ".join(f"{data.name} {data.split}" for data in splits.values())
    if not known:
        raise DataError(
            f"no picture of {len(given)} was drawn for a caption of {names}, such as "
            f"'{next(iter(splits.values())).captions[0][0]}'; the first is of '{given.prompts[0]}'"
        )
    if known < len(given):
        logging.getLogger(__name__).warning(
            "%d of %d pictures left out: their prompts are no captions of %s",
            *(len(given) - known, len(given), names),
        )
    return pictures


def real_of(data: CaptionedImages, prompts: Sequence[str]) -> PromptedPictures:
    """The first image of each prompt."""
    index: dict[str, int] = {}
    for k, captions in enumerate(data.captions):
        for caption in captions:
            index.setdefault(caption, k)
    return PromptedPictures(list(prompts), data.images([index[prompt] for prompt in prompts]))


def scenes_of(data: CaptionedImages) -> list[Scene]:
    """What is in each image.

    Raises:
        DataError: the data do not say.
    """
    if data.scenes is None:
        raise DataError(
            f"{data.name} has captions without facts, so nothing says what its pictures should "
            "show; composition is measured on --data scenes"
        )
    return data.scenes


def scenes_by_caption(data: CaptionedImages) -> dict[str, Scene]:
    """A scene for every wording; those of one caption differ in places and sizes alone. Raises as
    `scenes_of`."""
    pairs = zip(data.captions, scenes_of(data), strict=True)
    return {caption: scene for captions, scene in pairs for caption in captions}


def asked_for(pictures: PromptedPictures, scenes: Mapping[str, Scene]) -> Asked:
    """Pictures whose prompts are among `scenes`; the others are left out."""
    kept = [k for k, prompt in enumerate(pictures.prompts) if prompt in scenes]
    prompts = list(dict.fromkeys(pictures.prompts[k] for k in kept))
    number = {prompt: k for k, prompt in enumerate(prompts)}
    return Asked(
        prompts=prompts,
        scenes=[scenes[prompt] for prompt in prompts],
        images=pictures.images[kept],
        prompt=torch.tensor([number[pictures.prompts[k]] for k in kept], dtype=torch.long),
    )
