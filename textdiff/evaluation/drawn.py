"""Pictures that evals judge: drawn by a model for the captions of a data split, or real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textdiff.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from textdiff.data import CaptionedImages
    from textdiff.pipeline import TextToImage
    from textdiff.pipeline.config import SamplingConfig


@dataclass
class Judged:
    """Pictures (n, 3, H, W) uint8 and the prompt each was made for or found with."""

    prompts: list[str]
    images: Tensor


def real_pictures(data: CaptionedImages, count: int, seed: int, pipe: TextToImage) -> Judged:
    """Up to `count` images of the split and a prompt for each, no two prompts alike; which ones is
    a function of the seed. Images that cannot be used and captions that the model's text tower
    would cut are passed over.

    Raises:
        DataError: too many images cannot be used, or no caption is short enough.
    """
    import torch

    from textdiff.data import EndlessOrder

    _, ids = EndlessOrder(len(data), seed).at(torch.arange(len(data)))
    chosen: dict[str, Tensor] = {}
    for index in ids.tolist():
        prompt = data.captions[index][0]
        if prompt in chosen or not pipe.fits(prompt):
            continue
        usable, images = data.usable([index])
        if usable:
            chosen[prompt] = images
        if len(chosen) == count:
            break
    if not chosen:
        raise DataError(f"{data.name}: no caption fits {pipe.clip.context_length} tokens")
    return Judged(list(chosen), torch.cat(list(chosen.values())))


def captioned_pictures(data: CaptionedImages) -> Judged:
    """Every image of the split that can be used, with its first caption.

    Raises:
        DataError: too many images cannot be used.
    """
    indices, images = data.usable(range(len(data)))
    return Judged([data.captions[index][0] for index in indices], images)


def drawn_pictures(pipe: TextToImage, prompts: list[str], settings: SamplingConfig) -> Judged:
    """One picture per prompt, with a progress bar."""
    return Judged(prompts, pipe.draw(pipe.plan(prompts, settings), progress=True))
