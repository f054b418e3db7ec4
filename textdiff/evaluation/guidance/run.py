"""One sweep: plan each setting, draw it, score it, keep what is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from textdiff.clip import ClipModel
from textdiff.data import CaptionedImages
from textdiff.evaluation.features.cache import FeatureCache
from textdiff.evaluation.guidance.choices import config_of
from textdiff.evaluation.guidance.differences import with_differences
from textdiff.evaluation.guidance.front import best_of_each_kind
from textdiff.evaluation.guidance.guide import Guide
from textdiff.evaluation.guidance.measure import prepare_panel, score_pictures
from textdiff.evaluation.guidance.protocol import sweep_protocol
from textdiff.evaluation.guidance.sweep import Scales, SettingResult, Sweep
from textdiff.evaluation.guidance.sweep_file import find_sweep, write_sweep
from textdiff.evaluation.held_out.draw import check_prompts, draw_timed, repeat_each, write_sheet
from textdiff.evaluation.held_out.protocol import ReferenceProtocol, prompt_protocol
from textdiff.evaluation.held_out.references import reference_pictures
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.cost import evaluations
from textdiff.pipeline.plan import DrawPlan


def measure_sweep(
    pipe: TextToImage,
    *,
    model: str,
    guide: Guide,
    evaluators: Mapping[str, ClipModel],
    data: CaptionedImages,
    real: PromptedPictures,
    others: CaptionedImages,
    config: SamplingConfig,
    scales: Sequence[Scales],
    prompt_seed: int = 0,
    images_per_prompt: int = 1,
    limit: int = 2048,
    path: str | Path | None = None,
    cache: FeatureCache | None = None,
) -> Sweep:
    """The settings of `scales`, and those that the file `path` already holds.

    Args:
        model: what the user called `pipe`.
        data: the split of the prompts.
        real: prompts of it, chosen by `prompt_seed`, and their pictures.
        others: the split of the real pictures to be close to, at most `limit` of them.
        config: of sampling; its scales do not count.
        path: written after each setting; None: no file.
        cache: of the features of the other pictures; None: they are computed.

    Raises:
        UsageError: fewer than two prompts or other pictures, settings that the model cannot follow,
            a file of another protocol.
    """
    check_prompts(real.prompts, data)
    prompts = repeat_each(real.prompts, images_per_prompt)
    plans = plan_settings(pipe, prompts, config, scales)
    reference = reference_pictures(others, real.prompts, prompt_seed, limit)
    protocol = sweep_protocol(
        model=model,
        pipe=pipe,
        guide=guide,
        evaluators=evaluators,
        data=data,
        prompts=prompt_protocol(real.prompts, prompt_seed, images_per_prompt, evaluators),
        reference=ReferenceProtocol(others.split, len(reference)),
        config=config,
    )
    sweep = find_sweep(path, protocol)
    panel = prepare_panel(evaluators, guide.evaluator, real.prompts, reference, cache)
    if sweep is None:
        sweep = Sweep(protocol, score_pictures(panel, real.images, 1))
    known = {setting.scales for setting in sweep.settings}
    for each, plan in plans.items():
        if each in known:
            continue
        images, seconds = draw_timed(pipe, plan, str(each))
        scores = score_pictures(panel, images, images_per_prompt)
        result = SettingResult(
            each.kind, str(each), each, scores, seconds, evaluations=evaluations(plan)
        )
        sweep = replace(sweep, settings=with_differences([*sweep.settings, result]))
        if path:
            write_sweep(path, sweep)
    return sweep


def draw_best(
    path: str | Path,
    pipe: TextToImage,
    sweep: Sweep,
    *,
    real: PromptedPictures,
    config: SamplingConfig,
    count: int,
) -> None:
    """A sheet of `count` pictures with the best setting of each kind, real ones first.

    Args:
        real, config: as `measure_sweep`'s.
    """
    per_prompt = sweep.protocol.prompts.pictures_of_each
    prompts = repeat_each(real.prompts, per_prompt)[:count]
    rows = {"real pictures": real.images.repeat_interleave(per_prompt, dim=0)[:count]}
    best = {each.scales: each.name for each in best_of_each_kind(sweep.settings)}
    for scales, plan in plan_settings(pipe, prompts, config, list(best)).items():
        name = best[scales]
        rows[name], _ = draw_timed(pipe, plan, name)
    write_sheet(path, prompts, rows)


def plan_settings(
    pipe: TextToImage, prompts: Sequence[str], config: SamplingConfig, scales: Sequence[Scales]
) -> dict[Scales, DrawPlan]:
    """Raises UsageError: settings that the model cannot follow."""
    return {each: pipe.plan(prompts, config_of(config, each)) for each in scales}


def scale_grid(guidance: Sequence[float], clip: Sequence[float]) -> list[Scales]:
    """Each scale of CLIP guidance with each of classifier-free guidance, once."""
    return list(dict.fromkeys(Scales(g, c) for c in clip for g in guidance))
