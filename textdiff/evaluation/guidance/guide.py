"""The CLIP that guides, and what it is as one that reads finished pictures."""

from __future__ import annotations

from dataclasses import dataclass

from textdiff.clip import ClipModel, NoisedClip
from textdiff.evaluation.evaluators import hashes_of
from textdiff.pipeline import TextToImage
from textdiff.pipeline.clip_guide import guide_input
from textdiff.pipeline.config import SamplingConfig


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
        return hashes_of(self.clip) | {self.evaluator.weights_hash()}


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
    picture for one of timestep `clean_below`, the least that it was trained on. One that reads
    latents is asked in the form in which it read pictures.
    """
    if not isinstance(clip, NoisedClip):
        return clip, "pictures without noise"
    if clip.latents is not None:
        return clip.clean().freeze(), "pictures, as it did before it was made to read latents"
    timestep = clip.config.clean_below if at == "x_t" else 0
    reads = f"pictures of timestep {timestep}" if timestep else "pictures without noise"
    return clip.at(timestep).freeze(), reads


def involved_clips(pipe: TextToImage, model: str, guide: Guide) -> dict[str, str]:
    """What each CLIP that has a part in drawing does, in words, by the hash of its weights; also of
    what a noised CLIP that guides was fine-tuned from.

    Args:
        model: what the user called `pipe`.
    """
    involved = {pipe.clip.weights_hash(): f"the CLIP that {model} was trained with"}
    return involved | dict.fromkeys(guide.hashes, f"the CLIP that guides, {guide.name}")
