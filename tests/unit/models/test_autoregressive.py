"""The chain rule and the inverse CDF: worksheet cases, enumeration, frequencies, edges."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.models.autoregressive import inverse_cdf, joint, log_joint, sample

GOLDEN = golden("autoregressive")
DTYPES = ("float64", "float32")
JOINT = [case for case in GOLDEN["cases"] if case["id"].startswith("joint")]
INVERSE_CDF = [case for case in GOLDEN["cases"] if case["id"].startswith("inverse_cdf")]
CHAIN = GOLDEN["by_id"]["chain: assumed contexts"]
TOKENS = CHAIN["inputs"]["tokens"]
BELOW_ONE = math.nextafter(1, 0)

# probabilities of K tokens: whole shares of their sum, some of them nothing
distributions = (
    st.lists(st.integers(0, 9), min_size=1, max_size=6)
    .filter(any)
    .map(lambda shares: torch.tensor(shares, dtype=torch.float64) / sum(shares))
)
uniforms = st.floats(0, 1, exclude_max=True)


def close(actual: torch.Tensor, expected: float, dtype: str) -> None:
    torch.testing.assert_close(
        actual, torch.tensor(expected, dtype=getattr(torch, dtype)), **GOLDEN["tolerance"][dtype]
    )


def draw(probabilities: torch.Tensor, *us: float) -> list[int]:
    """The tokens that one distribution (K,) gives for these uniforms."""
    us = torch.tensor(us, dtype=probabilities.dtype)
    return inverse_cdf(probabilities.expand(len(us), -1), us).tolist()


def next_logits(tokens: torch.Tensor) -> torch.Tensor:
    """The worksheet's tables: what follows the last word, or the start."""
    tables = CHAIN["inputs"]["transitions"]
    contexts = [TOKENS[row[-1]] if len(row) else "<s>" for row in tokens.tolist()]
    return torch.tensor([tables[context] for context in contexts], dtype=torch.float64).log()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", JOINT, ids=lambda case: case["id"])
def test_golden_joint(case, dtype):
    """The sequence is token 0 throughout; token 1 takes what is left."""
    p = torch.tensor(case["inputs"]["conditionals"], dtype=getattr(torch, dtype))
    probabilities = torch.stack([p, 1 - p], dim=-1)[None]
    tokens = torch.zeros(1, len(p), dtype=torch.int64)
    close(joint(probabilities, tokens)[0], case["outputs"]["joint"], dtype)
    close(log_joint(probabilities.log(), tokens)[0], case["outputs"]["log_joint"], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", INVERSE_CDF, ids=lambda case: case["id"])
def test_golden_inverse_cdf(case, dtype):
    probabilities = torch.tensor(case["inputs"]["probs"], dtype=getattr(torch, dtype))
    drawn = draw(probabilities, *case["inputs"]["uniforms"])
    assert [case["inputs"]["tokens"][k] for k in drawn] == case["outputs"]["tokens"]


@pytest.mark.parametrize("case", CHAIN["outputs"]["sequences"], ids=lambda case: case["tokens"])
def test_golden_chain(case):
    *_, tokens = sample(next_logits, torch.tensor([case["uniforms"]], dtype=torch.float64))
    assert [TOKENS[k] for k in tokens[0]] == case["tokens"]
    logits = torch.stack([next_logits(tokens[:, :i]) for i in range(tokens.shape[1])], dim=1)
    close(log_joint(logits, tokens)[0], case["log_prob"], "float64")


def test_probabilities_of_all_sequences_sum_to_one():
    K, n = 3, 4
    everything = torch.tensor(list(itertools.product(range(K), repeat=n)))
    rng = torch.Generator().manual_seed(0)
    tables = [torch.randn(K**i, K, generator=rng, dtype=torch.float64) for i in range(n)]
    place = [(everything[:, :i] * K ** torch.arange(i)).sum(1) for i in range(n)]
    logits = torch.stack([table[row] for table, row in zip(tables, place, strict=True)], dim=1)
    total = log_joint(logits, everything).exp().sum()
    torch.testing.assert_close(total, torch.tensor(1.0, dtype=torch.float64))


def test_joint_is_the_exponential_of_log_joint():
    logits = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    tokens = torch.arange(15).view(5, 3) % 4
    torch.testing.assert_close(joint(logits.softmax(-1), tokens), log_joint(logits, tokens).exp())


def test_a_long_sequence_keeps_its_log_probability():
    logits, tokens = torch.zeros(1, 5000, 2), torch.zeros(1, 5000, dtype=torch.int64)
    torch.testing.assert_close(log_joint(logits, tokens), torch.tensor([-5000 * math.log(2)]))


def test_an_impossible_token_makes_the_sequence_impossible():
    probabilities, tokens = torch.tensor([[[0.5, 0.5], [1.0, 0.0]]]), torch.tensor([[0, 1]])
    assert joint(probabilities, tokens) == 0
    assert log_joint(probabilities.log(), tokens) == -math.inf


def test_an_evenly_spaced_u_draws_each_token_as_often_as_its_probability():
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.25, 0.05], dtype=torch.float64)
    drawn = draw(probabilities, *((torch.arange(1000) + 0.5) / 1000).tolist())
    assert [drawn.count(k) for k in range(5)] == [100, 0, 600, 250, 50]


def test_frequencies_of_sequences_are_their_probabilities():
    """9 sequences of two words; 5 standard deviations of each count."""
    B = 20_000
    rng = torch.Generator().manual_seed(0)
    *_, tokens = sample(next_logits, torch.rand(B, 2, generator=rng, dtype=torch.float64))
    counts = torch.bincount(tokens @ torch.tensor([3, 1]), minlength=9)
    pairs = torch.tensor(list(itertools.product(range(3), repeat=2)))
    logits = torch.stack([next_logits(pairs[:, :0]), next_logits(pairs[:, :1])], dim=1)
    p = log_joint(logits, pairs).exp()
    assert ((counts - B * p).abs() <= 5 * (B * p * (1 - p)).sqrt()).all()


@given(distributions, uniforms, uniforms)
def test_the_token_never_falls_as_u_rises(probabilities, u, v):
    low, high = draw(probabilities, min(u, v), max(u, v))
    assert low <= high


@given(distributions, uniforms)
def test_an_impossible_token_is_never_drawn(probabilities, u):
    drawn = draw(probabilities, u, 0.0, BELOW_ONE)
    assert (probabilities[drawn] > 0).all()


def test_a_cdf_that_wavers_draws_nothing_impossible(monkeypatch):
    """A parallel sum may rise by a rounding at a token of probability 0; here it is a large one."""
    monkeypatch.setattr(torch.Tensor, "cumsum", lambda _p, _dim: torch.tensor([[0.6, 0.62, 1.0]]))
    assert inverse_cdf(torch.tensor([[0.6, 0.0, 0.4]]), torch.tensor([0.61])).tolist() == [2]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_cdf_that_stays_below_u_ends_with_the_last_possible_token(dtype):
    short = torch.finfo(dtype).eps ** 0.5 / 2  # what is let pass as rounding
    probabilities = torch.tensor([0.5, 0.5 - short, 0, 0], dtype=dtype)
    assert inverse_cdf(
        probabilities[None], torch.tensor([BELOW_ONE], dtype=torch.float64)
    ).tolist() == [1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_cdf_of_many_tokens_is_not_summed_in_half_precision(dtype):
    probabilities = torch.full((1024,), 1 / 1024, dtype=dtype)
    u = (torch.arange(1024) + 0.5) / 1024
    assert inverse_cdf(probabilities.expand(1024, -1), u).tolist() == list(range(1024))


def test_each_row_has_its_own_distribution_and_uniform():
    probabilities = torch.tensor([[0.5, 0.5], [0.2, 0.8], [1.0, 0.0]])
    assert inverse_cdf(probabilities, torch.tensor([0.4, 0.4, 0.9])).tolist() == [0, 1, 0]


def test_sampling_yields_every_prefix_and_shows_it_to_the_model():
    seen = []

    def remember(tokens):
        seen.append(tokens.tolist())
        return next_logits(tokens)

    steps = [step.tolist() for step in sample(remember, torch.tensor([[0.6, 0.15, 0.9]]))]
    assert steps == [[[1]], [[1, 1]], [[1, 1, 2]]]
    assert seen == [[[]], [[1]], [[1, 1]]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits(dtype):
    logits = torch.randn(2, 3, 1000, generator=torch.Generator().manual_seed(0)).to(dtype)
    tokens = torch.tensor([[0, 1, 2], [3, 4, 999]])
    assert torch.equal(log_joint(logits, tokens), log_joint(logits.float(), tokens))
    *_, drawn = sample(lambda so_far: logits[:, so_far.shape[1]], torch.full((2, 3), 0.999))
    assert drawn.shape == (2, 3)


@pytest.mark.parametrize("bad", [-0.1, 1.0, math.nan])
def test_a_uniform_outside_the_interval_is_refused(bad):
    with pytest.raises(ValueError, match=r"uniforms must lie in \[0, 1\)"):
        inverse_cdf(torch.tensor([[0.5, 0.5]]), torch.tensor([bad]))


@pytest.mark.parametrize(
    "bad", [[0.5, 0.4], [0.5, 0.6], [0.0, 0.0], [1.5, -0.5], [math.nan, 1.0], [math.inf, 0.0]]
)
def test_what_is_no_distribution_is_refused(bad):
    probabilities = torch.tensor([bad])
    with pytest.raises(ValueError, match="must be 0 or more and sum to 1"):
        inverse_cdf(probabilities, torch.tensor([0.5]))
    with pytest.raises(ValueError, match="must be 0 or more and sum to 1"):
        joint(probabilities[None], torch.tensor([[0]]))


@pytest.mark.parametrize("bad", [math.nan, -math.inf])
def test_logits_that_leave_no_token_are_refused(bad):
    with pytest.raises(ValueError, match="must be 0 or more and sum to 1"):
        next(sample(lambda tokens: torch.full((1, 3), bad), torch.tensor([[0.5]])))


@pytest.mark.usefixtures("shapes_not_checked")
@pytest.mark.parametrize(
    ("table", "tokens"), [((2, 3, 4), (2, 2)), ((2, 3, 4), (3, 2)), ((3, 4), (3,)), ((2, 3, 4), ())]
)
def test_sequences_of_another_shape_are_refused(table, tokens):
    with pytest.raises(ValueError, match=r"need a table \(B, n, K\) and tokens \(B, n\), got "):
        log_joint(torch.zeros(table), torch.zeros(tokens, dtype=torch.int64))


@pytest.mark.usefixtures("shapes_not_checked")
@pytest.mark.parametrize(("p", "u"), [((2, 3), (3,)), ((2, 3), (2, 1)), ((3,), (3,)), ((3,), ())])
def test_draws_of_another_shape_are_refused(p, u):
    with pytest.raises(ValueError, match=r"need probabilities \(B, K\) and uniforms \(B,\), got "):
        inverse_cdf(torch.full(p, 1 / 3), torch.full(u, 0.5))


@pytest.mark.usefixtures("shapes_not_checked")
def test_uniforms_of_one_sequence_need_a_batch_too():
    with pytest.raises(ValueError, match=r"need uniforms \(B, n\), got \(3,\)"):
        next(sample(next_logits, torch.rand(3)))
