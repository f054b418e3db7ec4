"""The protocol of a sweep, from what it is made with."""

from __future__ import annotations

from collections.abc import Mapping

from textdiff.clip import ClipModel
from textdiff.data import CaptionedImages
from textdiff.evaluation.guidance.guide import Guide
from textdiff.evaluation.guidance.sweep import GuideProtocol, GuideReading, SweepProtocol
from textdiff.evaluation.held_out.protocol import PromptProtocol, ReferenceProtocol, chance_of
from textdiff.evaluation.protocol import (
    clip_protocol,
    data_protocol,
    device_name,
    model_protocol,
    sampling_protocol,
    versions,
)
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig

METRIC = {
    "R@k": "pictures whose prompt is among the first k of all prompts, ties count against",
    "CLIP score": "100 max(cos, 0)",
    "KID": "unbiased MMD^2, one block, no pairs of one prompt, kernel (cos + 1)^3 of image "
    "features",
    "Frechet": "of unit image features, covariance n - 1; biased upwards, the interval "
    "shows spread only",
    "held_out": "mean over the evaluators",
    "interval": "95% percentile bootstrap over prompts, each with all of its pictures; "
    "distances also over the real pictures",
    "differences": "setting minus baseline, of held-out CLIPs, in the same resamples",
    "samples": "of held-out CLIPs: R@1 of each prompt, KID of each resample",
}
SWEPT = ("guidance_scale", "clip_guidance_scale", "best_of", "judge", "keep_after")


def sweep_protocol(
    *,
    model: str,
    pipe: TextToImage,
    guide: Guide,
    evaluators: Mapping[str, ClipModel],
    data: CaptionedImages,
    prompts: PromptProtocol,
    reference: ReferenceProtocol,
    config: SamplingConfig,
) -> SweepProtocol:
    """model: what the user called `pipe`. config: of sampling; its scales do not count."""
    reading = GuideReading(guide.reads, guide.evaluator.weights_hash())
    sampling, clip_sampling = split_sampling(config)
    return SweepProtocol(
        metric=METRIC,
        model=model_protocol(model, pipe, config),
        guide=GuideProtocol(clip_protocol(guide.name, guide.clip), guide.form, reading),
        evaluators=tuple(clip_protocol(name, clip) for name, clip in evaluators.items()),
        data=data_protocol(data),
        prompts=prompts,
        reference=reference,
        chance=chance_of(prompts.count),
        sampling=sampling,
        clip_sampling=clip_sampling,
        device=device_name(pipe.device),
        versions=versions(),
    )


def split_sampling(config: SamplingConfig) -> tuple[dict[str, object], dict[str, object]]:
    """Settings of sampling but the scales: those without CLIP, and those of guidance by CLIP."""
    sampling = {n: v for n, v in sampling_protocol(config).items() if n not in SWEPT}
    clip = {name: sampling.pop(name) for name in list(sampling) if name.startswith("clip_")}
    return sampling, clip
