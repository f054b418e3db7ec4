"""Zero-shot accuracy and retrieval at each timestep, of a clean and a noised CLIP on the same x_t.

x_0, eps ──► x_t ──► features of either CLIP ──► rank of the right caption or picture ──► hits
hits (levels, images or captions), averaged over noises ──► means, intervals, paired differences
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from textdiff.clip import ClipModel, NoisedClip
from textdiff.data import CaptionedImages
from textdiff.diffusion import NoiseSchedule, ScheduleConfig
from textdiff.evaluation.report import interval
from textdiff.metrics.features import text_features
from textdiff.metrics.noised import NoisedEncoder, fixed_noise, noised_features
from textdiff.metrics.retrieval import chance_recall, image_text_retrieval
from textdiff.metrics.zero_shot import class_weights, zero_shot_logits, zero_shot_ranks

METRICS = (
    "zero-shot",
    *(f"{direction} R@{k}" for k in (1, 5) for direction in ("image to text", "text to image")),
)


@dataclass(frozen=True)
class Protocol:
    """timesteps: ascending. draws: noises per image. template: with {} for a class's caption.
    seed: of the noise. limit: search among the first so many images; None: all."""

    timesteps: list[int]
    draws: int = 1
    template: str = "{}"
    seed: int = 0
    limit: int | None = None


@dataclass(frozen=True)
class Searched:
    """What is searched: pictures (n, 3, S, S) uint8 with their numbers, all their captions (m) with
    `image_of_text` (m,), and the zero-shot classes (c) with `labels` (n,)."""

    ids: list[int]
    image: Tensor
    captions: list[str]
    image_of_text: Tensor
    classes: list[str]
    labels: Tensor

    @classmethod
    def of(cls, data: CaptionedImages, limit: int | None) -> Searched:
        ids, image = data.usable(range(min(len(data), limit or len(data))))
        texts = [(text, i) for i, index in enumerate(ids) for text in data.captions[index]]
        captions, owners = zip(*texts, strict=True)
        first = [data.captions[index][0] for index in ids]
        classes = list(dict.fromkeys(first))
        labels = torch.tensor([classes.index(caption) for caption in first])
        return cls(ids, image, list(captions), torch.tensor(owners), classes, labels)


def measure(
    protocol: Protocol, data: CaptionedImages, noised: NoisedClip, clean: ClipModel
) -> dict[str, Any]:
    """Curves of both CLIPs and of their difference, by metric; all as JSON."""
    searched = Searched.of(data, protocol.limit)
    schedule = NoiseSchedule.from_config(ScheduleConfig(**noised.schedule_config))
    readers = {
        "clean": (clean, lambda x_t, timestep: clean.encode_image(x_t)),
        "noised": (noised, noised.encode_image),
    }
    hits = {
        name: hits_by_level(protocol, searched, clip, encode, schedule)
        for name, (clip, encode) in readers.items()
    }
    return {
        "searched": len(searched.ids),
        "captions": len(searched.captions),
        "classes": len(searched.classes),
        "timesteps": protocol.timesteps,
        "alphas_cumprod": schedule.alphas_cumprod[protocol.timesteps].tolist(),
        "chance": chances(searched),
        "results": {
            metric: compare(
                hits["clean"][metric],
                hits["noised"][metric],
                protocol.timesteps,
                searched.image_of_text if metric.startswith("text to image") else None,
            )
            for metric in METRICS
        },
    }


def hits_by_level(
    protocol: Protocol,
    searched: Searched,
    clip: ClipModel | NoisedClip,
    encode: NoisedEncoder,
    schedule: NoiseSchedule,
) -> dict[str, Tensor]:
    """By metric (levels, values) in [0, 1], each averaged over noises; values are images, or
    captions where these are the queries."""
    texts = text_features(clip, searched.captions)
    prompts = [protocol.template.replace("{}", name) for name in searched.classes]
    weights = class_weights(text_features(clip, prompts)[:, None])
    noises = [
        fixed_noise(searched.ids, searched.image.shape[1:], protocol.seed, draw)
        for draw in range(protocol.draws)
    ]

    def ranks(timestep: int, eps: Tensor) -> dict[str, Tensor]:
        features = noised_features(encode, searched.image, eps, timestep, schedule)
        found = image_text_retrieval(features, texts, searched.image_of_text)
        logits = zero_shot_logits(features, weights)
        return {
            "zero-shot": zero_shot_ranks(logits, searched.labels),
            "image to text": found.image_to_text.ranks,
            "text to image": found.text_to_image.ranks,
        }

    levels: dict[str, list[Tensor]] = {metric: [] for metric in METRICS}
    for timestep in protocol.timesteps:
        drawn = [ranks(timestep, eps) for eps in noises]
        for metric in METRICS:
            query, _, k = metric.partition(" R@")
            found = torch.stack([one[query] for one in drawn])
            levels[metric].append((found <= int(k or 1)).double().mean(dim=0))
    return {metric: torch.stack(values) for metric, values in levels.items()}


def compare(
    clean: Tensor, noised: Tensor, timesteps: Sequence[int], owners: Tensor | None
) -> dict[str, Any]:
    """Means with intervals by level, of each and of the paired difference noised - clean; where the
    interval of the difference lies on one side of 0.

    Args:
        clean, noised: hits (levels, values).
        owners: (values,) image of each; None: one value per image.
    """
    difference = noised - clean
    differences = [interval(row, owners) for row in difference]
    by_level = list(zip(timesteps, differences, strict=True))
    return {
        "clean": [interval(row, owners) for row in clean],
        "noised": [interval(row, owners) for row in noised],
        "difference": differences,
        "ahead_at": [t for t, found in by_level if found["low"] > 0],
        "behind_at": [t for t, found in by_level if found["high"] < 0],
        "mean_over_timesteps": {
            "clean": interval(clean.mean(dim=0), owners),
            "noised": interval(noised.mean(dim=0), owners),
            "difference": interval(difference.mean(dim=0), owners),
        },
    }


def chances(searched: Searched) -> dict[str, float]:
    """What random order would give."""
    images, texts = len(searched.ids), len(searched.captions)
    own = torch.bincount(searched.image_of_text).tolist()
    found = {"zero-shot": 1 / len(searched.classes)}
    for k in (1, 5):
        each = [chance_recall(texts, count, k) for count in own]
        found[f"image to text R@{k}"] = sum(each) / images
        found[f"text to image R@{k}"] = chance_recall(images, 1, k)
    return found
