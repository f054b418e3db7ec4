"""Guidance compared: classifier-free, by CLIP, and both, at several scales.

Every setting draws the same prompts from the same noise. Measured are prompt following and CLIP
score, by CLIPs that took no part and by the one that guides; the distance of the pictures from real
ones, in the features of the former; and the time. The CLIP that guides does not count as an
evaluator: pictures are optimised for it, so it scores them higher than others do. One run has one
form of CLIP guidance (a noised CLIP at x_t, a clean one at x_0_hat with or without the U-Net's
Jacobian); `--table` shows several runs side by side.

With --best-of, several candidates are drawn for a picture and CLIPs choose among them, at the end
or early; those do not count as evaluators either. What a picture costs is counted, and each choice
is compared with the same guidance alone in as many evaluations of the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textdiff.errors import require_extra
from textdiff.evaluation.guidance.settings import GuidanceSettings

if TYPE_CHECKING:
    from textdiff.evaluation.guidance.sweep import Sweep


def run(settings: GuidanceSettings) -> None:
    """Draw and score a sweep, or read some; show.

    Raises:
        UsageError: as `sweep_of`; files that do not compare.
    """
    from textdiff.evaluation.guidance.merge import read_sweeps
    from textdiff.evaluation.guidance.plot import draw_sweep
    from textdiff.evaluation.guidance.table import print_sweep
    from textdiff.files import check_file

    for flag in ("json", "plot", "grid"):
        check_file(f"--{flag}", getattr(settings, flag))
    if settings.plot:
        require_extra("plot", "--plot")
    sweep = read_sweeps(settings.table) if settings.table else sweep_of(settings)
    print_sweep(sweep)
    if settings.plot:
        draw_sweep(settings.plot, sweep)
        print(f"plot: {settings.plot}")


def sweep_of(settings: GuidanceSettings) -> Sweep:
    """Load, draw, score.

    Raises:
        UsageError: an evaluator that took part, settings that the model cannot follow, a file of
            another protocol, fewer than two prompts.
    """
    from textdiff.data import open_data
    from textdiff.data.config import fit_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.evaluators import load_evaluators
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.guidance.choices import (
        choice_grid,
        find_choosers,
        involved_choosers,
    )
    from textdiff.evaluation.guidance.guide import find_guide, involved_clips
    from textdiff.evaluation.guidance.run import draw_best, measure_sweep, scale_grid
    from textdiff.evaluation.pictures import real_pictures
    from textdiff.pipeline import TextToImage
    from textdiff.threads import settle_threads

    model, split = settings.model, settings.split
    assert model is not None  # the settings' own check
    device = pick_device(settings.device)
    pipe = TextToImage.load(model, device)  # before data, which may take long to render
    guide = find_guide(pipe, settings, settings.clip_guidance.guide or f"{model}/clip")
    choosers = find_choosers(
        pipe,
        final=settings.final_judges,
        early=settings.early_judges,
        keep_after=settings.keep_after,
        best_of=settings.best_of,
        config=settings,
    )
    involved = involved_clips(pipe, model, guide) | involved_choosers(choosers)
    evaluators = load_evaluators("--judges", settings.judges, device, involved)
    source = data_of_run(settings.data, "--model", model)
    source = fit_data(source, pipe.config.image_size, f"--model {model}")
    data = open_data(source, split)
    other = settings.reference_split or split
    real = real_pictures(data, settings.num_prompts, settings.prompt_seed, pipe)
    settle_threads(device)
    sweep = measure_sweep(
        pipe,
        model=model,
        guide=guide,
        evaluators=evaluators,
        data=data,
        real=real,
        others=data if other == split else open_data(source, other),
        config=settings,
        scales=[
            *scale_grid(settings.scales, settings.clip_scales),
            *choice_grid(pipe, settings, settings.scales, settings.best_of, choosers),
        ],
        prompt_seed=settings.prompt_seed,
        images_per_prompt=settings.num_images,
        limit=settings.limit,
        path=settings.json,
        cache=open_cache(settings.feature_cache, settings.data),
    )
    if settings.grid:
        count = settings.grid_pictures
        draw_best(settings.grid, pipe, sweep, real=real, config=settings, count=count)
    if settings.json:
        print(f"numbers and protocol: {settings.json}")
    return sweep
