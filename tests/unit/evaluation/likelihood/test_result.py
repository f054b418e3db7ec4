"""Parts of a bound: they add up, name the network's timesteps, and keep their keys on disk."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.helpers.bounds import bound, result_of
from tests.helpers.protocols import DATA, MODEL
from textdiff.evaluation.likelihood.result import (
    BoundSummary,
    LikelihoodProtocol,
    compare,
    summarise,
)
from textdiff.evaluation.results import from_json, to_json

INTERVAL = {"mean", "low", "high", "confidence", "resamples"}


@pytest.mark.parametrize(("num_steps", "count"), [(100, 100), (100, 6), (7, 7), (4, 4), (1, 1)])
def test_parts_add_up_to_the_total(num_steps, count):
    summary = summarise(bound(num_steps, count), torch.arange(num_steps))
    rest, terms = summary.rest.value, summary.terms
    parts = summary.prior.value + summary.L_0.value + rest
    assert parts == pytest.approx(summary.total.value)
    assert sum(part.bits.value for part in summary.quarters) == pytest.approx(rest)
    sums = [n * bits for n, bits in zip(terms.timesteps, terms.mean, strict=True)]
    assert sums[0] == pytest.approx(summary.L_0.value)
    assert sum(sums[1:]) == pytest.approx(rest)
    for part in (summary.total, summary.prior, summary.L_0, summary.rest):
        assert part.low <= part.value <= part.high


def test_quarters_and_terms_of_every_step():
    summary = summarise(bound(100, 100), torch.arange(100))
    assert summary.terms.first == summary.terms.last == list(range(100))
    ends = [(part.first, part.last) for part in summary.quarters]
    assert ends == [(1, 24), (25, 49), (50, 74), (75, 99)]


def test_fewer_steps_name_the_timesteps_of_the_network():
    summary = summarise(bound(4, 4), torch.tensor([0, 33, 66, 99]))
    assert summary.terms.first == summary.terms.last == [0, 33, 66, 99]
    ends = [(part.first, part.last) for part in summary.quarters]
    assert ends == [(33, 33), (66, 66), (99, 99)]


def test_strata_of_several_steps_name_their_ends():
    terms = summarise(bound(100, 6), torch.arange(100)).terms
    assert len(terms.mean) == 6
    assert (terms.first[:2], terms.last[-1], sum(terms.timesteps)) == ([0, 1], 99, 100)


def test_differences_are_paired():
    """The same terms plus one bit per image: no image differs otherwise."""
    first = bound(4, 4)
    other = dataclasses.replace(first, prior=first.prior + 1)
    difference = compare({"first": first, "none": other})["none - first"]
    assert (difference.low, difference.value, difference.high) == pytest.approx((1, 1, 1))


def test_keys_on_disk():
    content = to_json(result_of("first", "none"))
    assert content.keys() == {
        *("pictures", "captions_cut", "variance", "timesteps", "num_steps", "clip_denoised"),
        *("timesteps_per_picture", "results", "differences", "per_picture"),
    }
    summary = content["results"]["none"]
    assert summary.keys() == {"total", "prior", "L_0", "rest", "quarters", "terms"}
    assert summary["total"].keys() == content["differences"]["none - first"].keys() == INTERVAL
    assert summary["quarters"][0].keys() == INTERVAL | {"from", "to"}
    assert summary["terms"].keys() == {"from", "to", "timesteps", "mean", "low", "high"}


def test_a_summary_is_read_back():
    summary = result_of("first").bounds["first"]
    assert to_json(from_json(BoundSummary, to_json(summary))) == to_json(summary)


def test_estimates_name_the_kind_of_captions():
    result = result_of("first", "none")
    estimates = dict(result.estimates())
    assert estimates["none, total"] == result.bounds["none"].total
    assert estimates["none - first"] == result.differences["none - first"]


def test_keys_of_the_protocol_on_disk():
    protocol = LikelihoodProtocol(
        model=MODEL,
        data=DATA,
        image_seed=0,
        process="gaussian",
        spacing=None,
        seed=0,
        dtype="float32",
    )
    assert list(to_json(protocol)) == [
        *("metric", "model", "data", "image_seed", "process", "spacing", "seed", "dtype")
    ]
    assert from_json(LikelihoodProtocol, to_json(protocol)) == protocol
