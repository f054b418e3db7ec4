"""One sweep from its settings: load, draw each setting, score it, keep what is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from textdiff.clip import ClipModel
from textdiff.data import CaptionedImages, open_data
from textdiff.data.config import fit_data
from textdiff.data.of_run import data_of_run
from textdiff.devices import pick_device
from textdiff.errors import UsageError
from textdiff.evaluation.guidance.differences import with_differences
from textdiff.evaluation.guidance.draw import draw_timed, write_sheet
from textdiff.evaluation.guidance.evaluators import (
    Guide,
    find_guide,
    load_evaluators,
    reference_pictures,
)
from textdiff.evaluation.guidance.front import best_of_each_kind
from textdiff.evaluation.guidance.measure import Panel, prepare_panel, score_pictures
from textdiff.evaluation.guidance.protocol import prompt_protocol, sweep_protocol
from textdiff.evaluation.guidance.settings import GuidanceSettings
from textdiff.evaluation.guidance.sweep import (
    ReferenceProtocol,
    Scales,
    SettingResult,
    Sweep,
    SweepProtocol,
)
from textdiff.evaluation.guidance.sweep_file import find_sweep, write_sweep
from textdiff.evaluation.pictures import PromptedPictures, real_pictures
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.types import Pictures


def run_sweep(settings: GuidanceSettings) -> Sweep:
    """The settings asked for, and those that the file `settings.json` already held.

    Raises:
        UsageError: an evaluator that took part, settings that the model cannot follow, a file of
            another protocol, fewer than two prompts.
    """
    scales, per_prompt = (
        scale_grid(settings.scales, settings.clip_scales),
        settings.num_images,
    )
    loaded = load(settings, scales)
    sweep = find_sweep(settings.json, loaded.protocol)
    panel, real = loaded.panel(), loaded.real
    if sweep is None:
        sweep = Sweep(loaded.protocol, score_pictures(panel, real.images, 1))
    prompts = repeat_each(real.prompts, per_prompt)
    for each in scales:
        if each in [setting.scales for setting in sweep.settings]:
            continue
        config = at_scales(settings, each)
        images, seconds = draw_timed(loaded.pipe, prompts, config, str(each))
        scores = score_pictures(panel, images, per_prompt)
        result = SettingResult(each.kind, str(each), each, scores, seconds)
        sweep = replace(sweep, settings=with_differences([*sweep.settings, result]))
        if settings.json:
            write_sweep(settings.json, sweep)
    if settings.grid:
        count = settings.grid_pictures
        images = real.images.repeat_interleave(per_prompt, dim=0)[:count]
        rows = {"real pictures": images}
        for best in best_of_each_kind(sweep.settings):
            config = at_scales(settings, best.scales)
            rows[best.name], _ = draw_timed(loaded.pipe, prompts[:count], config, best.name)
        write_sheet(settings.grid, prompts[:count], rows)
    if settings.json:
        print(f"numbers and protocol: {settings.json}")
    return sweep


@dataclass(frozen=True)
class Loaded:
    """All that a sweep is made with, checked. reference: real pictures besides those of the
    prompts."""

    pipe: TextToImage
    guide: Guide
    evaluators: dict[str, ClipModel]
    real: PromptedPictures
    reference: Pictures
    protocol: SweepProtocol

    def panel(self) -> Panel:
        prompts, reference = self.real.prompts, self.reference
        return prepare_panel(self.evaluators, self.guide.evaluator, prompts, reference)


def load(settings: GuidanceSettings, scales: Sequence[Scales]) -> Loaded:
    """Raises UsageError as `run_sweep`."""
    model, seed, split = settings.model, settings.prompt_seed, settings.split
    assert model is not None  # the settings' own check
    device = pick_device(settings.device)
    pipe = TextToImage.load(model, device)  # before data, which may take long to render
    guide = find_guide(pipe, settings, settings.clip_guidance.guide or f"{model}/clip")
    evaluators = load_evaluators(settings.judges, device, pipe, model, guide)
    config = data_of_run(settings.data, "--model", model)
    config = fit_data(config, pipe.config.unet.image_size, f"--model {model}")
    data = open_data(config, split)
    real = real_pictures(data, settings.num_prompts, seed, pipe)
    check_prompts(real.prompts, data)
    for each in scales:
        pipe.plan(real.prompts, at_scales(settings, each))
    other = settings.reference_split or split
    others = data if other == split else open_data(config, other)
    reference = reference_pictures(others, real.prompts, seed, settings.limit)
    protocol = sweep_protocol(
        model=model,
        pipe=pipe,
        guide=guide,
        evaluators=evaluators,
        data=data,
        prompts=prompt_protocol(real.prompts, seed, settings.num_images, evaluators),
        reference=ReferenceProtocol(other, len(reference)),
        config=settings,
    )
    return Loaded(pipe, guide, evaluators, real, reference, protocol)


def check_prompts(prompts: Sequence[str], data: CaptionedImages) -> None:
    """Raises UsageError: fewer than two prompts."""
    if len(prompts) < 2:
        raise UsageError(
            f"split {data.split} of {data.config.source} has {len(prompts)} caption that can "
            "be a prompt; among one there is nothing to choose, so give another --split"
        )


def scale_grid(guidance: Sequence[float], clip: Sequence[float]) -> list[Scales]:
    """Each scale of CLIP guidance with each of classifier-free guidance, once."""
    return list(dict.fromkeys(Scales(g, c) for c in clip for g in guidance))


def at_scales(config: SamplingConfig, scales: Scales) -> SamplingConfig:
    return config.with_scales(scales.guidance, scales.clip)


def repeat_each(prompts: Sequence[str], count: int) -> list[str]:
    """Each prompt `count` times in a row."""
    return [prompt for prompt in prompts for _ in range(count)]
