"""The CLIPs that guide a model, or choose among its pictures: loaded once, checked against it."""

from __future__ import annotations

from collections.abc import Sequence

from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.pipeline.clip_guide import check_guide, load_guide
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.judge import check_judge
from textdiff.pipeline.model import Model

Clips = dict[str, ClipModel | NoisedClip]  # by the name that settings give them


def guide_of(model: Model, clips: Clips, config: SamplingConfig) -> ClipModel | NoisedClip | None:
    """The CLIP whose gradient guides by these settings, frozen; None where none does.

    clips: those that are loaded, to which it is added.

    Raises:
        UsageError: one that cannot guide this model so. CheckpointError: no CLIP there.
    """
    if config.clip_guidance.scale == 0:
        return None
    guide = clip_named(model, clips, config.clip_guidance.guide)
    check_guide(guide, config, model.config, model.space)
    return guide


def judge_of(
    model: Model, clips: Clips, prompts: Sequence[str], config: SamplingConfig
) -> ClipModel | NoisedClip | None:
    """The CLIP that chooses among candidates, frozen; None where there is one of each picture.

    clips: as of `guide_of`.

    Raises:
        UsageError: one that cannot choose so. CheckpointError: no CLIP there.
    """
    selection = config.selection
    if selection.best_of == 1:
        return None
    judge = clip_named(model, clips, selection.judge)
    check_judge(judge, prompts, selection, model.config, model.space)
    return judge


def clip_named(model: Model, clips: Clips, name: str | None) -> ClipModel | NoisedClip:
    """Of `clips`, loaded if it is not there yet; None: the model's own."""
    if name is None:
        return model.clip
    if name not in clips:
        clips[name] = load_guide(name).to(model.device).freeze()
    return clips[name]
