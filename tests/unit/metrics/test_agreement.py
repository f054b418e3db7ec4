"""The same features given to torchmetrics, torch-fidelity and scipy: equal numbers, and where these
do something else, a test that shows it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from textdiff.metrics import clip_scores, frechet_distance, kid, neighbourhood

AGREES = 1e-4  # relative


def sets(n: int = 220, m: int = 180, dim: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Correlated features of distributions that differ, in float32 as networks give them."""
    rng = torch.Generator().manual_seed(3)
    mix = torch.randn(2, dim, dim, generator=rng) / dim**0.5
    x, y = torch.randn(n, dim, generator=rng), torch.randn(m, dim, generator=rng)
    return x @ mix[0] + 0.4, y @ (mix[0] + 0.5 * mix[1])


class Flat(torch.nn.Module):
    """Pictures (n, 3, 2, 2) are their own twelve features."""

    num_features = 12

    def forward(self, pictures):
        return pictures.flatten(1)


def as_pictures(features: torch.Tensor) -> torch.Tensor:
    return features.view(-1, 3, 2, 2)


# Frechet distance


def test_frechet_distance_is_that_of_scipys_matrix_root():
    linalg = pytest.importorskip("scipy.linalg")
    x, y = (each.double() for each in sets())
    of_x, of_y = torch.cov(x.T), torch.cov(y.T)
    root = torch.from_numpy(linalg.sqrtm((of_x @ of_y).numpy()).real)
    shift = (x.mean(0) - y.mean(0)).square().sum()
    expected = shift + (of_x + of_y - 2 * root).trace()
    assert frechet_distance(x, y) == pytest.approx(expected.item(), rel=1e-9)


def test_frechet_distance_is_torchmetrics_fid():
    image = pytest.importorskip("torchmetrics.image.fid")
    x, y = sets()
    metric = image.FrechetInceptionDistance(feature=Flat())
    metric.update(as_pictures(y), real=True)
    metric.update(as_pictures(x), real=False)
    assert frechet_distance(x, y) == pytest.approx(metric.compute().item(), rel=AGREES)


def test_frechet_distance_is_torch_fidelitys_fid():
    fidelity = pytest.importorskip("torch_fidelity.metric_fid")
    x, y = sets()
    statistics = [fidelity.fid_features_to_statistics(each) for each in (x, y)]
    (expected,) = fidelity.fid_statistics_to_metric(*statistics, verbose=False).values()
    assert frechet_distance(x, y) == pytest.approx(expected, rel=AGREES)


# KID


def kid_of_torchmetrics(x, y, **subsets):
    image = pytest.importorskip("torchmetrics.image.kid")
    metric = image.KernelInceptionDistance(feature=Flat(), **subsets)
    metric.update(as_pictures(y), real=True)
    metric.update(as_pictures(x), real=False)
    return metric.compute()[0].item()


def kid_of_torch_fidelity(x, y, **options):
    fidelity = pytest.importorskip("torch_fidelity.metric_kid")
    return fidelity.kid_features_to_metric(x, y, verbose=False, **options)[
        "kernel_inception_distance_mean"
    ]


def test_kid_is_torchmetrics_with_one_subset_of_everything():
    x, y = sets(200, 200)
    expected = kid_of_torchmetrics(x, y, subsets=1, subset_size=200)
    assert kid(x, y) == pytest.approx(expected, rel=AGREES)


def test_kid_is_torch_fidelitys_with_one_subset_of_everything():
    x, y = sets(200, 200)
    expected = kid_of_torch_fidelity(x, y, kid_subsets=1, kid_subset_size=200)
    assert kid(x, y) == pytest.approx(expected, rel=AGREES)


def test_kid_of_random_subsets_is_another_number_for_each_seed():
    """Theirs by default; the mean over many subsets is ours, which has no such noise."""
    x, y = sets(200, 200)
    few = [
        kid_of_torch_fidelity(x, y, kid_subsets=10, kid_subset_size=50, rng_seed=seed)
        for seed in range(40)
    ]
    found = torch.tensor(few).double()
    assert found.std() > 0.01 * abs(kid(x, y))
    assert abs(found.mean().item() - kid(x, y)) < 3 * found.std().item() / 40**0.5


# Precision and recall


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_are_torch_fidelitys(k):
    fidelity = pytest.importorskip("torch_fidelity.metric_prc")
    x, y = (each.double() for each in sets())
    expected = fidelity.prc_features_to_metric(
        x, y, prc_neighborhood=k, prc_batch_size=64, save_cpu_ram=False, verbose=False
    )
    found = neighbourhood(x, y, k).estimates(resamples=2)
    assert 0 < expected["precision"] < 1
    assert found["precision"].value == pytest.approx(expected["precision"], abs=1e-6)
    assert found["recall"].value == pytest.approx(expected["recall"], abs=1e-6)


# CLIP score


class Given(torch.nn.Module):
    """A CLIP of given features."""

    config = SimpleNamespace()

    def __init__(self, images, texts):
        super().__init__()
        self.images, self.texts = images, texts

    def get_image_features(self, _pixels):
        return self.images

    def get_text_features(self, _ids, _mask):
        return self.texts


def clip_score_of_torchmetrics(images, texts):
    multimodal = pytest.importorskip("torchmetrics.multimodal.clip_score")
    anything = {name: torch.zeros(1, 1) for name in ("pixel_values", "input_ids", "attention_mask")}
    clip = Given(images, texts)
    metric = multimodal.CLIPScore(lambda: (clip, lambda **_: anything))
    metric.update([torch.zeros(3, 2, 2)] * len(images), ["a caption"] * len(images))
    return metric.compute().item()


def test_clip_score_is_torchmetrics():
    x, y = (each.abs() for each in sets(50, 50))
    expected = clip_score_of_torchmetrics(x, y)
    assert clip_scores(x, y).mean().item() == pytest.approx(expected, rel=AGREES)


def test_torchmetrics_lets_negative_pairs_lower_the_clip_score_of_others():
    """The paper cuts each pair at 0; a mean that is cut afterwards is another number."""
    images = torch.tensor([[1.0, 0], [1, 0]])
    texts = torch.tensor([[1.0, 0], [-1, 0]])
    assert clip_scores(images, texts).mean().item() == pytest.approx(50)
    assert clip_score_of_torchmetrics(images, texts) == pytest.approx(0)
