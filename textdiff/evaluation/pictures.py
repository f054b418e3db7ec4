"""Pictures that evaluations judge: drawn by a model for the captions of a data split, or real."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from textdiff.data import (
    CaptionedImages,
    DataConfig,
    EndlessOrder,
    labelled_grid,
    open_data,
    to_pil,
)
from textdiff.data.decode import to_square
from textdiff.data.drawn import is_drawn
from textdiff.errors import DataError
from textdiff.files import replacing
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.types import Pictures

SHEET_COLUMNS = 8


@dataclass(frozen=True)
class PromptedPictures:
    """Pictures (n, 3, S, S) uint8 and the n prompts that they were drawn for or found with."""

    prompts: list[str]
    images: Pictures

    def __len__(self) -> int:
        return len(self.prompts)


def real_pictures(
    data: CaptionedImages, count: int, seed: int, pipe: TextToImage
) -> PromptedPictures:
    """Up to `count` images of the split and a prompt for each, no two prompts alike; which ones is
    a function of the seed. Images that cannot be used and captions that the model's text tower
    would cut are passed over.

    Raises:
        DataError: too many images cannot be used, or no caption is short enough.
    """
    prompts, images = zip(*_chosen(data, count, seed, pipe), strict=True)
    return PromptedPictures(list(prompts), torch.cat(images))


def choose_prompts(data: CaptionedImages, count: int, seed: int, pipe: TextToImage) -> list[str]:
    """The prompts of `real_pictures`, whose pictures are not kept. Raises as it."""
    return [prompt for prompt, _ in _chosen(data, count, seed, pipe)]


def _chosen(
    data: CaptionedImages, count: int, seed: int, pipe: TextToImage
) -> Iterator[tuple[str, Pictures]]:
    """Prompts, each with its picture (1, 3, S, S)."""
    _, ids = EndlessOrder(len(data), seed).at(torch.arange(len(data)))
    chosen: set[str] = set()
    for index in ids.tolist():
        prompt = data.captions[index][0]
        if prompt in chosen or not pipe.fits(prompt):
            continue
        usable, images = data.usable([index])
        if usable:
            chosen.add(prompt)
            yield prompt, images
        if len(chosen) == count:
            return
    if not chosen:
        raise DataError(f"{data.name}: no caption fits {pipe.clip.context_length} tokens")


def open_pictures(folder: str, config: DataConfig, *, captioned: bool = True) -> CaptionedImages:
    """All pictures of a folder that a user gives, captioned or drawn by `sample`, prepared as
    `config` says. captioned: whether those without a caption cannot be used.

    Raises:
        DataError: there is none.
    """
    kind = "drawn" if is_drawn(folder) else "folder"
    given: dict[str, object] = {"source": folder, "kind": kind}
    if not captioned:
        given["need_captions"] = False
    return open_data(config.model_copy(update=given), "all")


def captioned_pictures(data: CaptionedImages) -> PromptedPictures:
    """Every image of the split that can be used, with its first caption.

    Raises:
        DataError: too many images cannot be used.
    """
    indices, images = data.usable(range(len(data)))
    return PromptedPictures([data.captions[index][0] for index in indices], images)


def draw_pictures(
    pipe: TextToImage, prompts: Sequence[str], config: SamplingConfig
) -> PromptedPictures:
    """One picture per prompt, with a progress bar.

    Raises:
        UsageError: settings that the model cannot follow, or a prompt that is too long.
    """
    return PromptedPictures(list(prompts), pipe.draw(pipe.plan(prompts, config), progress=True))


def resized(
    images: UInt8[Tensor, "n 3 height width"], config: DataConfig
) -> UInt8[Tensor, "n 3 side side"]:
    """Pictures made as large as `config` says, in the way in which it makes those of files."""
    side = config.image_size
    if images.shape[2:] == (side, side):
        return images
    squares = images.new_empty(len(images), 3, side, side)
    for k, image in enumerate(images):
        squares[k] = to_square(to_pil(image[None])[0], config)
    return squares


def save_sheet(path: str | Path, pictures: PromptedPictures, count: int) -> None:
    """The first `count` pictures, each above its prompt; says where."""
    images, prompts = to_pil(pictures.images[:count]), pictures.prompts[:count]
    with replacing(path) as temporary:
        labelled_grid(images, prompts, SHEET_COLUMNS).save(temporary)
    print(f"pictures: {path}")
