"""Features for two libraries at once, and metrics of others given features in place of pictures."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from benchmarks.references import AsTheyAre


def sets(n: int = 220, m: int = 180, dim: int = 12) -> tuple[Tensor, Tensor]:
    """Correlated features of distributions that differ, in float32 as networks give them."""
    rng = torch.Generator().manual_seed(3)
    mix = torch.randn(2, dim, dim, generator=rng) / dim**0.5
    x, y = torch.randn(n, dim, generator=rng), torch.randn(m, dim, generator=rng)
    return x @ mix[0] + 0.4, y @ (mix[0] + 0.5 * mix[1])


def fid_of_torchmetrics(x: Tensor, y: Tensor, network: nn.Module | None = None) -> float:
    """x of drawn pictures, y of real ones. network: None: they are features."""
    image = pytest.importorskip("torchmetrics.image.fid")
    metric = image.FrechetInceptionDistance(feature=network or AsTheyAre(x.shape[1]))
    metric.update(y, real=True)
    metric.update(x, real=False)
    return metric.compute().item()


def kid_of_torchmetrics(
    x: Tensor, y: Tensor, network: nn.Module | None = None, **subsets: int
) -> float:
    """As `fid_of_torchmetrics`; subsets: `subsets` and `subset_size`."""
    image = pytest.importorskip("torchmetrics.image.kid")
    network = network or AsTheyAre(x.shape[1])
    metric = image.KernelInceptionDistance(feature=network, **subsets)
    metric.update(y, real=True)
    metric.update(x, real=False)
    return metric.compute()[0].item()


def kid_of_torch_fidelity(x: Tensor, y: Tensor, **options: int) -> float:
    fidelity = pytest.importorskip("torch_fidelity.metric_kid")
    return fidelity.kid_features_to_metric(x, y, verbose=False, **options)[
        "kernel_inception_distance_mean"
    ]


class Given(nn.Module):
    """A CLIP of given features."""

    config = SimpleNamespace()

    def __init__(self, images: Tensor, texts: Tensor) -> None:
        super().__init__()
        self.images, self.texts = images, texts

    def get_image_features(self, _pixels: Tensor) -> Tensor:
        return self.images

    def get_text_features(self, _ids: Tensor, _mask: Tensor) -> Tensor:
        return self.texts


def clip_score_of_torchmetrics(images: Tensor, texts: Tensor) -> float:
    """Of features (n, D) of either kind."""
    multimodal = pytest.importorskip("torchmetrics.multimodal.clip_score")
    anything = {name: torch.zeros(1, 1) for name in ("pixel_values", "input_ids", "attention_mask")}
    clip = Given(images, texts)
    metric = multimodal.CLIPScore(lambda: (clip, lambda **_: anything))
    metric.update([torch.zeros(3, 2, 2)] * len(images), ["a caption"] * len(images))
    return metric.compute().item()
