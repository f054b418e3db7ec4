"""Whether a model can draw what it is asked for: everything is found out here, before a step.

prompts, settings, pictures ── prompts fit ── grid ── guide ── judge ──► DrawPlan
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textdiff.pipeline.clip_guide import check_target
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.guides import Clips, guide_of, judge_of
from textdiff.pipeline.init import Init
from textdiff.pipeline.model import Model
from textdiff.pipeline.plan import DrawPlan, check_prompts, check_settings, rounds_of
from textdiff.precision import bf16_pays
from textdiff.types import Pictures


def checked_plan(
    model: Model,
    clips: Clips,
    prompts: str | Sequence[str],
    config: SamplingConfig,
    *,
    first: int,
    init: Init | None,
    clip_image: Pictures | None,
    warn: Callable[[str | None], None],
) -> DrawPlan:
    """One picture per prompt; an unCLIP decoder's plan lacks its embeddings yet.

    Args:
        clips: that guide or choose, as far as they are loaded.
        first: number of the first picture. clip_image: towards which CLIP guides.
        warn: told what need not stop it; None: nothing.

    Raises:
        UsageError: settings that the model cannot follow, or with `strict` a prompt that is too
            long. CheckpointError: no CLIP where settings name one.
    """
    prompts = [prompts] if isinstance(prompts, str) else prompts
    warn(
        check_prompts(
            [*prompts, config.negative_prompt],
            model.clip,
            strict=config.strict,
            reader="the text tower",
        )
    )
    check_settings(config, len(model.config.unet.block_channels), init)
    grid = model.process.plan_grid(config, init)
    guide = guide_of(model, clips, config)
    targets = check_target(guide, prompts, config.clip_guidance.prompts, clip_image)
    if guide is not None:
        reader = "the CLIP that guides"
        warn(check_prompts(targets, guide, strict=config.strict, reader=reader))
    judge = judge_of(model, clips, prompts, config)
    if judge is not None:
        reader = "the CLIP that chooses"
        warn(check_prompts(prompts, judge, strict=config.strict, reader=reader))
    if guide is judge is None and not config.text_to_unet and any(prompts):
        warn(
            "text_to_unet false without guidance by CLIP: the prompts have no effect; give a "
            "clip_guidance_scale above 0"
        )
    return DrawPlan(
        prompts=tuple(prompts),
        config=config,
        grid=grid,
        bf16=config.precision == "bf16"
        or (config.precision == "auto" and bf16_pays(model.device.type)),
        guide=guide,
        clip_image=clip_image,
        init=init,
        first=first,
        judge=judge,
        rounds=rounds_of(config.selection, len(grid)),
    )
