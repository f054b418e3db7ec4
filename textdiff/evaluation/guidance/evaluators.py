"""The CLIP that guides, and which real pictures drawn ones should be close to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch

from textdiff.clip import ClipModel, NoisedClip
from textdiff.data import CaptionedImages, EndlessOrder
from textdiff.errors import UsageError
from textdiff.evaluation.evaluators import load_evaluator
from textdiff.pipeline import TextToImage
from textdiff.pipeline.clip_guide import guide_input
from textdiff.pipeline.config import SamplingConfig
from textdiff.types import Pictures


@dataclass(frozen=True)
class Guide:
    """The CLIP that guides, and the same as an evaluator.

    name: its folder.
    form: how it guides, in words.
    evaluator: its tower that guides, for finished pictures.
    reads: what `evaluator` takes pictures for, in words.
    """

    name: str
    clip: ClipModel | NoisedClip
    form: str
    evaluator: ClipModel
    reads: str

    @property
    def hashes(self) -> set[str]:
        """Of the weights of all its forms; of a noised CLIP, also of the one it came from."""
        if not isinstance(self.clip, NoisedClip):
            return {self.clip.weights_hash()}
        forms = (self.clip, self.clip.clip, self.clip.clean(), self.evaluator)
        return {clip.weights_hash() for clip in forms} | {self.clip.config.source_weights or ""}


def find_guide(pipe: TextToImage, config: SamplingConfig, name: str) -> Guide:
    """The CLIP that guides `pipe` wherever the scale is above 0.

    Raises:
        UsageError: a CLIP that cannot guide the model. CheckpointError: no CLIP there.
    """
    clip = pipe.guide(config.with_scales(1.0, 1.0))
    assert clip is not None
    at = guide_input(clip, config.clip_guidance)
    past = at == "x_0" and not config.clip_guidance.through_unet
    kind = "noised" if isinstance(clip, NoisedClip) else "clean"
    evaluator, reads = as_evaluator(clip, at)
    return Guide(name, clip, f"{kind} CLIP at {at}{' past the U-Net' * past}", evaluator, reads)


def as_evaluator(clip: ClipModel | NoisedClip, at: str) -> tuple[ClipModel, str]:
    """The tower of `clip` that guides at x_t or x_0, and what it takes finished pictures for.

    A noised CLIP has two image towers where it kept a clean copy for timesteps below `clean_below`.
    At x_t the noised tower does nearly all of the guiding, so it is the one to ask; it takes a
    picture for one of timestep `clean_below`, the least that it was trained on.
    """
    if not isinstance(clip, NoisedClip):
        return clip, "pictures without noise"
    timestep = clip.config.clean_below if at == "x_t" else 0
    reads = f"pictures of timestep {timestep}" if timestep else "pictures without noise"
    return clip.at(timestep).freeze(), reads


def load_evaluators(
    names: Collection[str], device: str, pipe: TextToImage, model: str, guide: Guide
) -> dict[str, ClipModel]:
    """By name, frozen, on `device`.

    Args:
        model: what the user called `pipe`.

    Raises:
        UsageError: one that guides, conditions the model, is what a noised CLIP was fine-tuned
            from, or is given twice.
    """
    involved = {pipe.clip.weights_hash(): f"the CLIP that {model} was trained with"}
    involved |= dict.fromkeys(guide.hashes, f"the CLIP that guides, {guide.name}")
    evaluators = {}
    for name in names:
        evaluators[name] = load_evaluator("--judges", name, device, involved)
        involved[evaluators[name].weights_hash()] = f"the evaluator {name} again"
    return evaluators


def reference_pictures(
    data: CaptionedImages, prompts: Collection[str], seed: int, limit: int
) -> Pictures:
    """Up to `limit` pictures of the split, in an order of the seed; none of a prompt's.

    Raises:
        UsageError: fewer than two are left. DataError: too many cannot be used.
    """
    _, order = EndlessOrder(len(data), seed).at(torch.arange(len(data)))
    excluded = set(prompts)
    free = [index for index in order.tolist() if data.captions[index][0] not in excluded]
    if len(free) < 2:
        raise UsageError(
            f"{data.name}, split {data.split}: {len(free)} pictures besides those of the "
            f"{len(prompts)} prompts, so nothing to be close to; give a smaller --num-prompts, or "
            "--reference-split"
        )
    _, images = data.usable(free[:limit])
    return images
