"""Prompts whose facts are known, by split: from data that have facts beside their captions."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from textdiff.data import CaptionedImages
from textdiff.data.scenes.facts import Scene
from textdiff.errors import DataError
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.types import Pictures


@dataclass(frozen=True)
class Asked:
    """Pictures (n, 3, S, S) uint8 of m prompts.

    prompts: m distinct ones. scenes: what each says. prompt: (n,) which one each picture is of.
    """

    prompts: list[str]
    scenes: list[Scene]
    images: Pictures
    prompt: torch.Tensor

    def scene_of(self, picture: int) -> Scene:
        return self.scenes[int(self.prompt[picture])]


def scenes_of(data: CaptionedImages) -> list[Scene]:
    """What is in each image.

    Raises:
        DataError: the data do not say.
    """
    if data.scenes is None:
        raise DataError(
            f"{data.name} has captions without facts, so that nothing says what its pictures "
            "should show; composition needs a source with facts: --data scenes"
        )
    return data.scenes


def scenes_by_caption(data: CaptionedImages) -> dict[str, Scene]:
    """A scene for every wording: scenes of one caption differ in places and sizes alone.

    Raises:
        DataError: as `scenes_of`.
    """
    pairs = zip(data.captions, scenes_of(data), strict=True)
    return {caption: scene for captions, scene in pairs for caption in captions}


def asked_for(pictures: PromptedPictures, scenes: dict[str, Scene]) -> Asked:
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
