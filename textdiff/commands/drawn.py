"""Pictures that evals judge: drawn by a model for the captions of a data split, or real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from textdiff.data import CaptionedImages
    from textdiff.pipeline import TextToImage
    from textdiff.pipeline_config import SamplingConfig


@dataclass
class Judged:
    """Pictures (n, 3, H, W) uint8 and the prompt each was made for or found with."""

    prompts: list[str]
    images: Tensor


def distinct_prompts(data: CaptionedImages, count: int, seed: int) -> tuple[list[str], list[int]]:
    """Up to `count` captions of the split, no two alike, and the image each belongs to; which ones
    is a function of the seed."""
    import torch

    from textdiff.data import EndlessOrder

    _, ids = EndlessOrder(len(data), seed).at(torch.arange(len(data)))
    chosen: dict[str, int] = {}
    for index in ids.tolist():
        chosen.setdefault(data.captions[index][0], index)
    prompts = list(chosen)[:count]
    return prompts, [chosen[prompt] for prompt in prompts]


def real_pictures(data: CaptionedImages, prompts: list[str], ids: list[int]) -> Judged:
    return Judged(prompts, data.images(ids))


def drawn_pictures(pipe: TextToImage, prompts: list[str], settings: SamplingConfig) -> Judged:
    """One picture per prompt, with a progress bar."""
    import torch
    from torchvision.transforms.functional import pil_to_tensor

    from textdiff.commands.sample import draw

    return Judged(prompts, torch.stack([pil_to_tensor(p) for p in draw(pipe, prompts, settings)]))
