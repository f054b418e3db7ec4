"""What `evaluation.py` times: each side from its settings to a function that returns its numbers.

prepare(options) ──► inputs, imports ──► work, which is timed ──► [float, ...]
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from references import cmmd_of_reference, kid_of_torchmetrics, recall_of_clip_benchmark
from torch import Tensor

NOISE = 6.0  # of texts, so that about a third are found first among 30,000
AT = (1, 5, 10)
WAYS = ("image_to_text", "text_to_image")
SHOWN = 4  # pictures whose features are compared

Work = Callable[[], list[float]]


# Retrieval: rows, dim


def pairs(options: Namespace) -> tuple[Tensor, Tensor]:
    """Unit features (rows, dim) of images, and of their texts."""
    rng = torch.Generator().manual_seed(0)
    images = F.normalize(torch.randn(options.rows, options.dim, generator=rng), dim=1)
    noise = torch.randn(options.rows, options.dim, generator=rng)
    return images, F.normalize(noise.mul_(NOISE / options.dim**0.5).add_(images), dim=1)


def retrieval(options: Namespace) -> Work:
    from textdiff.metrics import image_text_retrieval

    images, texts = pairs(options)

    def work() -> list[float]:
        found = image_text_retrieval(images, texts, torch.arange(len(texts))).directions()
        return [found[way].recall(k) for way in WAYS for k in AT]

    return work


def retrieval_by_open_clip(options: Namespace) -> Work:
    from open_clip_train.train import get_clip_metrics

    images, texts = pairs(options)

    def work() -> list[float]:
        found = get_clip_metrics(images, texts, torch.tensor(100.0))
        return [found[f"{way}_R@{k}"] for way in WAYS for k in AT]

    return work


def retrieval_by_clip_benchmark(options: Namespace) -> Work:
    images, texts = pairs(options)

    def work() -> list[float]:
        found = recall_of_clip_benchmark(images, texts, torch.arange(len(texts)), AT)
        return [found[f"{way} R@{k}"] for way in WAYS for k in AT]

    return work


# Distances: kernel_rows, dim


def unit_sets(options: Namespace) -> tuple[Tensor, Tensor]:
    """Unit features (kernel_rows, dim) of two distributions that differ a little."""
    rng = torch.Generator().manual_seed(0)
    shape = (options.kernel_rows, options.dim)
    x, y = (torch.randn(shape, generator=rng).add_(0.5) for _ in range(2))
    return F.normalize(x.add_(0.1), dim=1), F.normalize(y, dim=1)


def long_sets(options: Namespace) -> tuple[Tensor, Tensor]:
    """The same of length sqrt(dim), whose products are of the size of KID's with Inception."""
    x, y = (each.mul_(options.dim**0.5) for each in unit_sets(options))
    return x, y


def kid(options: Namespace) -> Work:
    from textdiff import metrics

    x, y = long_sets(options)
    return lambda: [metrics.kid(x, y)]


def kid_with_interval(options: Namespace) -> Work:
    from textdiff import metrics

    x, y = long_sets(options)
    return lambda: [metrics.kid_estimate(x, y).value]


def kid_by_torchmetrics(options: Namespace) -> Work:
    metric = kid_of_torchmetrics(*long_sets(options), subsets=1, subset_size=options.kernel_rows)
    return lambda: [metric.compute()[0].item()]


def kid_of_subsets(options: Namespace) -> Work:
    size = min(1000, options.kernel_rows)
    metric = kid_of_torchmetrics(*long_sets(options), subsets=100, subset_size=size)
    torch.manual_seed(0)  # which draws the subsets
    return lambda: [metric.compute()[0].item()]


def cmmd(options: Namespace) -> Work:
    from textdiff import metrics

    x, y = unit_sets(options)
    return lambda: [metrics.cmmd(x, y)]


def cmmd_with_interval(options: Namespace) -> Work:
    from textdiff import metrics

    x, y = unit_sets(options)
    return lambda: [metrics.cmmd_estimate(x, y).value]


def cmmd_by_reference(options: Namespace) -> Work:
    x, y = unit_sets(options)
    return lambda: [cmmd_of_reference(x, y)]


# Features: folder/pictures, folder/clip, pictures, batch_size


def features(options: Namespace, cached: bool = False) -> Work:
    """cached: of pictures whose features are in the cache already."""
    from textdiff.clip import ClipModel
    from textdiff.data import DataConfig, open_data
    from textdiff.evaluation.features.cache import FeatureCache
    from textdiff.evaluation.features.cached import CachedFeatures
    from textdiff.evaluation.features.clip import ClipExtractor

    clip = ClipModel.load(options.folder / "clip").freeze()
    extractor = ClipExtractor("clip", clip, options.batch_size)
    cache = FeatureCache(options.folder / "cache") if cached else None
    source = CachedFeatures(extractor, cache)
    config = DataConfig(source=str(options.folder / "pictures"))

    def work() -> list[float]:
        data = open_data(extractor.prepared(config), "all")
        found = source.of_split(data, options.pictures)
        names = [data.identifiers[k] for k in found.positions]
        return shown_of(found.features, names)

    if cached:
        work()
    return work


def features_again(options: Namespace) -> Work:
    return features(options, cached=True)


def features_by_open_clip(options: Namespace, workers: int) -> Work:
    """As `evaluate` and `run` of open_clip_train go over a loader."""
    import open_clip

    where = f"local-dir:{options.folder / 'clip'}"
    model, _, transform = open_clip.create_model_and_transforms(where)
    model.eval()

    def work() -> list[float]:
        data = PictureFolder(options.folder / "pictures", transform, options.pictures)
        loader = torch.utils.data.DataLoader(data, options.batch_size, num_workers=workers)
        found = []
        with torch.inference_mode():
            for images in loader:
                found.append(model.encode_image(images).cpu())
        return shown_of(torch.cat(found), [path.name for path in data.paths])

    return work


class PictureFolder(torch.utils.data.Dataset):
    """Pictures of a folder by name, as the transform makes them."""

    def __init__(self, folder: Path, transform: Callable, limit: int) -> None:
        self.paths, self.transform = sorted(folder.glob("*.jpg"))[:limit], transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        from PIL import Image

        return self.transform(Image.open(self.paths[index]))


def shown_of(features: Tensor, names: list[str]) -> list[float]:
    """Of a few pictures, the first by name, made unit."""
    order = sorted(range(len(names)), key=names.__getitem__)[:SHOWN]
    return F.normalize(features[order], dim=1).flatten().tolist()
