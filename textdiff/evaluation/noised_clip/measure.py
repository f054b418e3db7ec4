"""Zero-shot accuracy and retrieval at each timestep, of a clean and a noised CLIP on the same x_t.

x_0, eps ──► x_t ──► features of either CLIP ──► rank of the right caption or picture ──► hits
hits (levels, images or captions), averaged over noises ──► means, intervals, paired differences
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textdiff.clip import ClipModel, NoisedClip
from textdiff.clip.features import text_features
from textdiff.data import CaptionedImages
from textdiff.diffusion import NoiseSchedule, ScheduleConfig
from textdiff.errors import UsageError
from textdiff.evaluation.features.finite import check_finite
from textdiff.evaluation.noised_clip.result import Comparison, Means, NoisedClipResult
from textdiff.evaluation.per_item import PerItem, values_by_item
from textdiff.metrics.bootstrap import estimate_mean
from textdiff.metrics.features import Captions, captions_of
from textdiff.metrics.noised import NoisedEncoder, even_timesteps, fixed_noise, noised_features
from textdiff.metrics.retrieval import Numbers, chance_recall, image_text_retrieval
from textdiff.metrics.zero_shot import class_weights, zero_shot_logits, zero_shot_ranks
from textdiff.pictures import PictureCodec, PixelCodec
from textdiff.types import Features, Images, Pictures

METRICS = {  # what is ranked, and the last rank that is a hit
    "zero-shot": ("zero-shot", 1),
    "image to text R@1": ("image to text", 1),
    "text to image R@1": ("text to image", 1),
    "image to text R@5": ("image to text", 5),
    "text to image R@5": ("text to image", 5),
}
Hits = Float[Tensor, "levels queries"]  # share of the noises under which each query hits


@dataclass(frozen=True)
class Gallery:
    """What is searched.

    ids: (n) numbers of the images in their split. images: (n, 3, S, S) uint8.
    captions: of theirs.
    classes: (c) distinct first captions. labels: (n,) the class of each image, 0..c-1.
    """

    ids: list[int]
    images: Pictures
    captions: Captions
    classes: list[str]
    labels: Numbers


def measure_noised_clip(
    noised: NoisedClip,
    clean: ClipModel,
    data: CaptionedImages,
    *,
    timesteps: Sequence[int],
    draws: int = 1,
    template: str = "{}",
    seed: int = 0,
    limit: int | None = None,
    codec: PictureCodec | None = None,
) -> NoisedClipResult:
    """Curves of both CLIPs and of their difference, by metric.

    Args:
        timesteps: ascending, of the noised CLIP's schedule.
        draws: noises per image.
        template: with {} for a class's caption.
        seed: of the noise.
        limit: search among the first so many images; None: all.
        codec: of what is noised, latents that the clean CLIP sees decoded; None: pixels are.

    Raises:
        DataError: too many images cannot be used. CheckpointError: features that are not finite.
    """
    gallery = gallery_of(data, limit)
    schedule = NoiseSchedule.from_config(ScheduleConfig(**noised.schedule_config))
    codec = codec or PixelCodec(noised.image_size)
    shape, images = codec.shape, codec.images
    noises = [fixed_noise(gallery.ids, shape, seed, draw) for draw in range(draws)]
    prompts = [template.replace("{}", name) for name in gallery.classes]
    encoders: dict[str, tuple[ClipModel | NoisedClip, NoisedEncoder]] = {
        "clean": (clean, lambda x_t, timestep: clean.encode_image(images(x_t))),
        "noised": (noised, noised.encode_image),
    }
    hits = {
        name: hits_of(
            name,
            clip,
            encode,
            gallery,
            timesteps=timesteps,
            noises=noises,
            prompts=prompts,
            schedule=schedule,
            to_x_0=codec.encode,
        )
        for name, (clip, encode) in encoders.items()
    }
    return NoisedClipResult(
        searched=len(gallery.ids),
        captions=len(gallery.captions.texts),
        classes=len(gallery.classes),
        timesteps=list(timesteps),
        alphas_cumprod=schedule.alphas_cumprod[list(timesteps)].tolist(),
        chance=chances(gallery),
        comparisons={
            metric: compare(
                hits["clean"][metric],
                hits["noised"][metric],
                timesteps,
                gallery.captions.owner if query == "text to image" else None,
            )
            for metric, (query, _) in METRICS.items()
        },
        per_item=hits_by_image(hits, gallery),
    )


def hits_by_image(hits: Mapping[str, Mapping[str, Hits]], gallery: Gallery) -> dict[str, PerItem]:
    """Shares of hits over all timesteps. hits: by CLIP and metric."""
    names = [str(index) for index in gallery.ids]
    queries = {"images": names, "captions": [names[k] for k in gallery.captions.owner.tolist()]}
    values: dict[str, dict[str, Tensor]] = {kind: {} for kind in queries}
    for metric, (query, _) in METRICS.items():
        kind = "captions" if query == "text to image" else "images"
        for clip, of_clip in hits.items():
            values[kind][f"{metric}, {clip}"] = of_clip[metric].mean(dim=0)
    return {kind: values_by_item(owners, values[kind]) for kind, owners in queries.items()}


def choose_timesteps(
    timesteps: Sequence[int] | None, levels: int, num_timesteps: int, name: str
) -> list[int]:
    """Those asked for, in order; None: `levels` of them, evenly spaced.

    Raises:
        UsageError: one is outside 0..T-1 of the noised CLIP `name`.
    """
    if timesteps is None:
        return even_timesteps(levels, num_timesteps)
    outside = [t for t in timesteps if not 0 <= t < num_timesteps]
    if outside:
        raise UsageError(f"--timesteps {outside[0]}: {name} knows 0..{num_timesteps - 1}")
    return sorted(set(timesteps))


def gallery_of(data: CaptionedImages, limit: int | None) -> Gallery:
    """The first `limit` images of the split (None: all), without those that cannot be used."""
    ids, images = data.usable(range(min(len(data), limit or len(data))))
    first = [data.captions[index][0] for index in ids]
    classes = list(dict.fromkeys(first))
    labels = torch.tensor([classes.index(caption) for caption in first])
    return Gallery(ids, images, captions_of(data, ids), classes, labels)


def hits_of(
    name: str,
    clip: ClipModel | NoisedClip,
    encode: NoisedEncoder,
    gallery: Gallery,
    *,
    timesteps: Sequence[int],
    noises: Sequence[Images],
    prompts: Sequence[str],
    schedule: NoiseSchedule,
    to_x_0: Callable[[Pictures], Images],
) -> dict[str, Hits]:
    """Hits of one CLIP by metric; queries are images, or captions in text to image.

    Args:
        name: "clean" or "noised".
        prompts: (c) texts of the classes.
        to_x_0: what is noised.

    Raises:
        CheckpointError: features that are not finite.
    """

    def checked(features: Features) -> Features:
        check_finite(features, f"the {name} CLIP")
        return features

    texts = checked(text_features(clip, gallery.captions.texts))
    weights = class_weights(checked(text_features(clip, prompts))[:, None])
    levels: dict[str, list[Tensor]] = {metric: [] for metric in METRICS}
    for timestep in timesteps:
        rankings = []
        for eps in noises:
            features = noised_features(encode, gallery.images, eps, timestep, schedule, to_x_0)
            rankings.append(ranks_by_query(checked(features), texts, weights, gallery))
        for metric, (query, k) in METRICS.items():
            ranks = torch.stack([ranking[query] for ranking in rankings])
            levels[metric].append((ranks <= k).double().mean(dim=0))
    return {metric: torch.stack(hits) for metric, hits in levels.items()}


def ranks_by_query(
    images: Features, texts: Features, class_weights: Features, gallery: Gallery
) -> dict[str, Numbers]:
    """Ranks of what is right for each image, or for each caption in text to image."""
    retrieval = image_text_retrieval(images, texts, gallery.captions.image, gallery.captions.text)
    return {
        "zero-shot": zero_shot_ranks(zero_shot_logits(images, class_weights), gallery.labels),
        "image to text": retrieval.image_to_text.ranks,
        "text to image": retrieval.text_to_image.ranks,
    }


def compare(
    clean: Hits, noised: Hits, timesteps: Sequence[int], owners: Numbers | None
) -> Comparison:
    """Means over queries with intervals over images, of each CLIP and of the difference.

    owners: (queries,) image of each; None: one query per image.
    """
    difference = noised - clean
    differences = [estimate_mean(level, owners) for level in difference]
    by_timestep = list(zip(timesteps, differences, strict=True))
    return Comparison(
        clean=[estimate_mean(level, owners) for level in clean],
        noised=[estimate_mean(level, owners) for level in noised],
        difference=differences,
        ahead_at=[t for t, mean in by_timestep if mean.low > 0],
        behind_at=[t for t, mean in by_timestep if mean.high < 0],
        means=Means(
            clean=estimate_mean(clean.mean(dim=0), owners),
            noised=estimate_mean(noised.mean(dim=0), owners),
            difference=estimate_mean(difference.mean(dim=0), owners),
        ),
    )


def chances(gallery: Gallery) -> dict[str, float]:
    """Each metric in random order."""
    captions = gallery.captions
    num_images, num_texts = len(gallery.ids), len(captions.texts)
    texts_per_image = torch.bincount(captions.image).tolist()
    images_per_text = torch.bincount(captions.text).tolist()
    values = {"zero-shot": 1 / len(gallery.classes)}
    for k in (1, 5):
        each = [chance_recall(num_texts, count, k) for count in texts_per_image]
        values[f"image to text R@{k}"] = sum(each) / num_images
        each = [chance_recall(num_images, count, k) for count in images_per_text]
        values[f"text to image R@{k}"] = sum(each) / num_texts
    return values
