"""Comparisons of sets whose difference is known."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.helpers.extractors import MeanColours
from textdiff.errors import DataError
from textdiff.evaluation.distribution.measure import (
    find_copies,
    measure_distribution,
    split_in_halves,
)
from textdiff.evaluation.distribution.result import DistributionProtocol, DistributionResult
from textdiff.evaluation.distribution.table import print_distribution
from textdiff.evaluation.results import from_json, to_json
from textdiff.metrics import frechet_distance, kid

METRICS = ["frechet", "kid", "cmmd", "precision", "recall", "density", "coverage"]


def normals(count: int, dim: int = 4, mean: float = 0.0, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator) + mean


def measured(drawn, real, per_prompt=1, **settings) -> DistributionResult:
    settings = {"unit_length": False, **settings}
    return measure_distribution(drawn, real, per_prompt=per_prompt, **settings)


@pytest.fixture(scope="module")
def result() -> DistributionResult:
    """200 drawn pictures a little off, with copies of training pictures among them."""
    training, held_out = normals(300, 8, seed=5), normals(200, 8, seed=6)
    drawn = torch.cat([normals(180, 8, 0.3, 1), training[:20]])
    copies = find_copies(drawn, held_out, training)
    return measured(drawn, normals(220, 8, seed=2), 2, copies=copies)


def test_numbers_are_those_of_the_metrics():
    drawn, real = normals(50, mean=1, seed=1), normals(60, seed=2)
    result = measured(drawn, real).drawn
    assert result.frechet.value == pytest.approx(frechet_distance(drawn, real))
    assert result.kid.value == pytest.approx(kid(drawn, real))
    assert (result.pictures, result.real) == (50, 60)


def test_another_distribution_is_further_off_than_one_half_from_the_other():
    far = measured(normals(200, mean=1, seed=1), normals(200, seed=2))
    drawn, real = dict(far.drawn.estimates()), dict(far.real.estimates())
    for name in ("frechet", "kid"):
        assert drawn[name].low > real[name].high
    for name in ("precision", "recall", "density", "coverage"):
        assert drawn[name].value < real[name].value
    assert (far.real.pictures, far.real.real) == (100, 100)


def test_directions_of_a_clip_count_and_not_lengths():
    drawn, real = normals(40, seed=1), normals(40, seed=2)
    scaled = drawn * torch.rand(40, 1).add(0.5)
    by_direction = measured(drawn, real, unit_length=True)
    assert measured(scaled, real, unit_length=True).drawn.frechet.value == pytest.approx(
        by_direction.drawn.frechet.value, rel=1e-4
    )
    assert measured(scaled, real).drawn.frechet.value != pytest.approx(
        measured(drawn, real).drawn.frechet.value, rel=1e-2
    )
    unit = (F.normalize(each, dim=-1) * 2 for each in (drawn, real))  # sqrt(D) = 2
    assert by_direction.drawn.kid.value == pytest.approx(kid(*unit), rel=1e-4)


def test_copies_are_told_from_new_pictures(result):
    copying = result.copying
    assert copying.share.value > 0.1 > copying.chance == pytest.approx(0.05)
    assert copying.drawn.value > copying.held_out.value


def test_diversity_is_of_the_pictures_of_a_prompt(result):
    assert 0.5 < result.diversity.value < 1.5  # of independent directions
    same = normals(30).repeat_interleave(2, dim=0)
    assert measured(same, normals(50, seed=1), 2).diversity.value == pytest.approx(0, abs=1e-6)
    assert measured(same, normals(50, seed=1), 1).diversity is None


def test_five_pictures_have_a_warning_beside_every_number():
    result = measured(normals(5), normals(100, seed=1))
    assert [name for name, _ in result.drawn.estimates()] == ["frechet", "kid", "cmmd"]
    said = " ".join(result.warnings)
    for name in (
        "Frechet distance of 5 drawn",
        "KID of 5",
        "Precision, recall",
        "Intervals over 5",
    ):
        assert name in said


def test_enough_pictures_have_none_of_frechet():
    result = measured(normals(60), normals(60, seed=1))
    assert not [sentence for sentence in result.warnings if "Frechet distance of 60" in sentence]


@pytest.mark.parametrize(("drawn", "real"), [(1, 9), (0, 9), (9, 1)])
def test_a_single_picture_is_no_distribution(drawn, real):
    with pytest.raises(DataError, match="a distribution has two or more"):
        measured(normals(drawn), normals(real))


def test_features_that_are_not_numbers():
    with pytest.raises(DataError, match="NaN or infinity"):
        measured(normals(9).index_fill(0, torch.tensor([2]), torch.nan), normals(9))


def test_too_few_held_out_pictures_are_told():
    copies = find_copies(normals(30), normals(20, seed=1), normals(30, seed=2))
    result = measured(normals(30), normals(30, seed=3), copies=copies)
    assert result.copying is None
    assert any("No share of copies: 20 held-out pictures" in each for each in result.warnings)


def test_halves_are_of_different_pictures():
    one, other = split_in_halves(torch.arange(9.0)[:, None], seed=0)
    assert len(one) == len(other) == 4
    assert not set(one[:, 0].tolist()) & set(other[:, 0].tolist())
    assert split_in_halves(torch.zeros(3, 1), seed=0) is None


def test_keys_on_disk(result):
    content = to_json(result)
    assert list(content) == ["drawn", "real", "diversity", "copying", "warnings", "per_item"]
    assert list(content["drawn"]) == ["pictures", "real", *METRICS]
    assert content["drawn"]["frechet"].keys() == {"mean", "low", "high", "confidence", "resamples"}
    assert {"mean", "chance", "threshold", "drawn", "held_out"} <= content["copying"].keys()
    assert to_json(from_json(DistributionResult, content)) == content
    small = to_json(measured(normals(5), normals(3, seed=1)))
    assert list(small) == ["drawn", "warnings", "per_item"]
    assert list(small["drawn"]) == ["pictures", "real", "frechet", "kid", "cmmd"]


def test_keys_of_the_protocol_on_disk():
    protocol = DistributionProtocol(
        neighbours=5,
        unit_length=True,
        per_prompt=2,
        features=MeanColours().protocol,
        model=None,
        pictures={"source": "f"},
        data={"source": "r"},
        training=None,
        held_out=None,
        prompt_seed=0,
        sampling=None,
    )
    content = to_json(protocol)
    assert content["features"]["preprocessing"]["image_size"] == 16
    assert content["pictures"] == {"source": "f"}
    assert content["compare_size"] is None


def test_table(result, capsys):
    print_distribution(result, "shapes, split all", "runs/judge")
    captured = capsys.readouterr()
    assert "200 pictures against 220 of shapes, split all, by runs/judge" in captured.out
    for label in ("Frechet distance", "KID", "diversity", "copied"):
        assert label in captured.out
    (row,) = (line for line in captured.out.splitlines() if "copied" in line)
    assert "5.0%" in row  # chance
    assert captured.err.count("note: ") == len(result.warnings) > 0
