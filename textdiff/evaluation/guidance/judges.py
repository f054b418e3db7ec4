"""Who judges guided pictures, and which real ones they should be close to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from textdiff.clip import ClipModel, NoisedClip
from textdiff.data import EndlessOrder, open_data
from textdiff.errors import UsageError
from textdiff.evaluation.judges import load_judge
from textdiff.pipeline.clip_guide import guide_input

if TYPE_CHECKING:
    from textdiff.commands.guidance import GuidanceSettings
    from textdiff.pipeline import TextToImage


@dataclass(frozen=True)
class Judges:
    """CLIPs held out of training and guidance, by name; the one that guides, and a form of it that
    reads finished pictures. form: how it guides. reads: what the latter takes pictures for."""

    held_out: dict[str, ClipModel]
    guide: ClipModel | NoisedClip
    guide_name: str
    form: str
    guide_as_judge: ClipModel
    reads: str


def load_judges(settings: GuidanceSettings, pipe: TextToImage, device: str) -> Judges:
    """Frozen, on `device`.

    Raises:
        UsageError: an evaluator that guides, conditions the model, is what a noised CLIP was
            fine-tuned from, or is given twice; a CLIP that cannot guide the model.
    """
    config = settings.with_scales(1.0, 1.0)
    guide = pipe.guide(config)
    name = settings.clip_guidance.guide or f"{settings.model}/clip"
    as_judge, reads = judging_form(guide, config)
    taken = {pipe.clip.weights_hash(): f"the CLIP that {settings.model} was trained with"}
    taken |= dict.fromkeys(hashes(guide, as_judge), f"the CLIP that guides, {name}")
    held_out = {}
    for each in settings.evaluators:
        clip = load_judge("--evaluators", each, device, taken)
        taken[clip.weights_hash()] = f"the evaluator {each} again"
        held_out[each] = clip
    return Judges(held_out, guide, name, form(guide, config), as_judge, reads)


def judging_form(guide: ClipModel | NoisedClip, config: GuidanceSettings) -> tuple[ClipModel, str]:
    """The tower of `guide` that guides, for finished pictures, and what it takes them for.

    A noised CLIP with `clean_below` reads pictures without noise by a frozen copy of the tower it
    came from, which has no part in guidance at x_t but at the last few steps; the tower that has is
    asked at the least timestep that it reads."""
    if not isinstance(guide, NoisedClip):
        return guide, "pictures without noise"
    timestep = guide.config.clean_below if guide_input(guide, config.clip_guidance) == "x_t" else 0
    reads = f"pictures of timestep {timestep}" if timestep else "pictures without noise"
    return guide.at(timestep).freeze(), reads


def hashes(guide: ClipModel | NoisedClip, as_judge: ClipModel) -> set[str]:
    """Of the weights of a guide; of a noised one also of its other forms and of its source."""
    if not isinstance(guide, NoisedClip):
        return {guide.weights_hash()}
    clips = (guide, guide.clip, guide.clean(), as_judge)
    return {clip.weights_hash() for clip in clips} | {guide.config.source_weights or ""}


def form(guide: ClipModel | NoisedClip, config: GuidanceSettings) -> str:
    """How `guide` guides, in words."""
    kind = "noised" if isinstance(guide, NoisedClip) else "clean"
    at = guide_input(guide, config.clip_guidance)
    past = at == "x_0" and not config.clip_guidance.through_unet
    return f"{kind} CLIP at {at}" + (" past the U-Net" if past else "")


def reference_pictures(settings: GuidanceSettings, prompts: list[str]) -> Tensor:
    """Real pictures (n, 3, S, S) uint8, in an order of the seed; none of a prompt's.

    Raises:
        UsageError: fewer than two are left. DataError: too many cannot be used.
    """
    split, taken = settings.reference_split or settings.split, set(prompts)
    data = open_data(settings.data, split)
    _, order = EndlessOrder(len(data), settings.prompt_seed).at(torch.arange(len(data)))
    free = [index for index in order.tolist() if data.captions[index][0] not in taken]
    if len(free) < 2:
        raise UsageError(
            f"{data.name}, split {split}: {len(free)} pictures besides those of the {len(prompts)} "
            "prompts, so nothing to be close to; give a smaller --num-prompts, or "
            "--reference-split"
        )
    _, images = data.usable(free[: settings.limit])
    return images
