"""The autoregressive prior: its probabilities against enumeration, its draws against both."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch

from tests.helpers.golden import golden
from tests.helpers.priors import autoregressive_prior, captions
from textdiff.models.autoregressive import log_joint, sample

GOLDEN = golden("unclip")
EVERY = torch.tensor(list(itertools.product(range(3), repeat=2)))  # 2 codes of 3 buckets


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_chain_rule(dtype):
    case, kind = GOLDEN["by_id"]["ar_prior_chain_rule"], getattr(torch, dtype)
    logits = torch.tensor(case["inputs"]["logits"], dtype=kind)[None]
    codes, wanted = torch.tensor(case["inputs"]["codes"])[None], case["outputs"]
    tolerance = GOLDEN["tolerance"][dtype]
    each = [log_joint(logits[:, [i]], codes[:, [i]]) for i in range(2)]
    torch.testing.assert_close(
        torch.cat(each), torch.tensor(wanted["log_prob_per_code"], dtype=kind), **tolerance
    )
    whole = log_joint(logits, codes)
    torch.testing.assert_close(whole, torch.tensor([wanted["log_prob"]], dtype=kind), **tolerance)
    nats = torch.tensor([wanted["nll_mean"]], dtype=kind)
    torch.testing.assert_close(-whole / 2, nats, **tolerance)


def one_caption_for(count: int):
    return captions(1)[[0] * count]


def test_log_probability_is_that_of_enumeration():
    """Of all nine sequences: each is p(c_1) p(c_2 | c_1), asked one by one, and the sum is 1."""
    prior, text, dot = autoregressive_prior(), one_caption_for(9), torch.full((9,), 2)
    found = prior.log_prob(EVERY, dot, text)
    assert found.exp().sum().item() == pytest.approx(1, abs=1e-5)
    ask = prior.next_logits(prior.begin(prior.bind(text))[1], dot)
    first = ask(EVERY[:, :0]).log_softmax(-1)
    second = ask(EVERY[:, :1]).log_softmax(-1)
    rows = torch.arange(9)
    by_hand = first[rows, EVERY[:, 0]] + second[rows, EVERY[:, 1]]
    torch.testing.assert_close(found, by_hand)
    assert found.std() > 0.1  # or they would all be alike, whatever is computed


def test_draws_are_as_frequent_as_their_probability():
    prior, count = autoregressive_prior(), 4000
    dot = torch.full((count,), 1)
    uniforms = torch.rand(count, 2, generator=torch.Generator().manual_seed(0))
    _, begun = prior.begin(prior.bind(one_caption_for(count)))
    *_, codes = sample(prior.next_logits(begun, dot), uniforms)
    found = Counter(map(tuple, codes.tolist()))
    probability = prior.log_prob(EVERY, dot[:9], one_caption_for(9)).exp()
    for sequence, p in zip(EVERY.tolist(), probability.tolist(), strict=True):
        spread = 4 * (p * (1 - p) / count) ** 0.5
        assert found[tuple(sequence)] / count == pytest.approx(p, abs=spread)


def test_codes_see_caption_dot_and_earlier_codes_alone():
    prior, text = autoregressive_prior(num_components=3), captions(2)
    dot, codes = torch.tensor([0, 3]), torch.tensor([[0, 1, 2], [2, 0, 1]])
    logits, _ = prior(codes, dot, text)
    later, _ = prior(torch.tensor([[0, 1, 0], [2, 0, 2]]), dot, text)
    assert torch.equal(logits, later)  # nothing follows the last code
    changed, _ = prior(torch.tensor([[0, 2, 2], [2, 1, 1]]), dot, text)
    assert torch.equal(logits[:, :2], changed[:, :2])
    assert not torch.allclose(logits[:, 2], changed[:, 2], atol=1e-3)
    for other, _ in (prior(codes, dot + 1, text), prior(codes, dot, captions(2)[[1, 0]])):
        assert not torch.allclose(logits[:, 0], other[:, 0], atol=1e-3)


def test_the_dot_is_told_by_the_caption_alone():
    prior, text = autoregressive_prior(), captions(2)
    _, one = prior(torch.tensor([[0, 1], [2, 0]]), torch.tensor([0, 3]), text)
    _, other = prior(torch.tensor([[1, 2], [0, 0]]), torch.tensor([2, 1]), text)
    assert torch.equal(one, other)
    torch.testing.assert_close(prior.begin(prior.bind(text))[0], one)
    assert not torch.allclose(one[0], one[1], atol=1e-3)


def test_buckets_of_dots_hold_equally_many():
    prior = autoregressive_prior()
    dots = torch.rand(1000, generator=torch.Generator().manual_seed(0)) ** 2
    prior.fit(torch.randn(30, 6), dots)
    assert prior.dot_buckets(dots).bincount(minlength=5).tolist() == [250, 250, 250, 250, 0]
    assert prior.dot_buckets(torch.tensor([-1.0, 2.0])).tolist() == [0, 3]
    assert prior.no_caption == 4
