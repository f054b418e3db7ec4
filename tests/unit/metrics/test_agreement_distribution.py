"""The same features, and the same pictures with the same weights, given to other libraries' Frechet
distance, KID, CMMD, precision and recall: equal numbers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from benchmarks.references import cmmd_of_reference
from tests.helpers.peers import (
    fid_of_torchmetrics,
    kid_of_torch_fidelity,
    kid_of_torchmetrics,
    sets,
)
from tests.helpers.transformers_clip import small_clip
from textdiff.clip import ClipModel
from textdiff.evaluation.features.clip import ClipExtractor
from textdiff.metrics import cmmd, frechet_distance, kid, neighbourhood

AGREES = 1e-4  # relative


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
    x, y = sets()
    assert frechet_distance(x, y) == pytest.approx(fid_of_torchmetrics(x, y), rel=AGREES)


def test_frechet_distance_is_torch_fidelitys_fid():
    fidelity = pytest.importorskip("torch_fidelity.metric_fid")
    x, y = sets()
    statistics = [fidelity.fid_features_to_statistics(each) for each in (x, y)]
    (expected,) = fidelity.fid_statistics_to_metric(*statistics, verbose=False).values()
    assert frechet_distance(x, y) == pytest.approx(expected, rel=AGREES)


# KID and CMMD


def test_kid_is_torchmetrics_with_one_subset_of_everything():
    x, y = sets(200, 200)
    expected = kid_of_torchmetrics(x, y, subsets=1, subset_size=200)
    assert kid(x, y) == pytest.approx(expected, rel=AGREES)


def test_kid_is_torch_fidelitys_with_one_subset_of_everything():
    x, y = sets(200, 200)
    expected = kid_of_torch_fidelity(x, y, kid_subsets=1, kid_subset_size=200)
    assert kid(x, y) == pytest.approx(expected, rel=AGREES)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_cmmd_is_that_of_the_authors_formula(dtype):
    x, y = (F.normalize(each.to(dtype), dim=1) for each in sets())
    assert cmmd(x, y) == pytest.approx(cmmd_of_reference(x, y), rel=AGREES)


# The same pictures and weights


class OpenClip(torch.nn.Module):
    """open_clip's image tower on uint8 pictures of its size, with its normalisation."""

    def __init__(self, clip: ClipModel) -> None:
        super().__init__()
        self.model, self.num_features = clip.model, clip.embed_dim
        self.mean, self.std = (
            torch.tensor(clip.preprocess[name]).view(3, 1, 1) for name in ("mean", "std")
        )

    @torch.no_grad()
    def forward(self, pictures):
        return self.model.encode_image((pictures / 255 - self.mean) / self.std)


@pytest.fixture(scope="module")
def drawn_and_real():
    """Pictures (60, 3, 16, 16) uint8 of two kinds of noise, and a CLIP."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (2, 60, 3, 4, 4), generator=rng).float()
    drawn, real = (F.interpolate(each, 16, mode="bilinear") for each in coarse)
    return (drawn * 0.8).byte(), real.byte(), small_clip()


def test_frechet_distance_of_pictures_is_torchmetrics_fid(drawn_and_real):
    drawn, real, clip = drawn_and_real
    encode = ClipExtractor("CLIP", clip).encode
    expected = fid_of_torchmetrics(drawn, real, OpenClip(clip))
    assert frechet_distance(encode(drawn), encode(real)) == pytest.approx(expected, rel=AGREES)


def test_kid_of_pictures_is_torchmetrics(drawn_and_real):
    drawn, real, clip = drawn_and_real
    encode = ClipExtractor("CLIP", clip).encode
    expected = kid_of_torchmetrics(drawn, real, OpenClip(clip), subsets=1, subset_size=60)
    assert kid(encode(drawn), encode(real)) == pytest.approx(expected, rel=AGREES)


# Precision and recall; all four against plain loops: test_neighbours.py


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
