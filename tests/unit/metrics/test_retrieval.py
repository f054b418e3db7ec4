"""Ranks and recalls: golden cases, the definition written out, chance, and what must not matter."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.errors import DataError
from textdiff.metrics import (
    Ranking,
    chance_recall,
    image_text_retrieval,
    prompt_following,
    ranks,
)
from textdiff.metrics.zero_shot import class_weights, zero_shot_logits, zero_shot_ranks

CASE = golden("retrieval")["cases"][0]


def golden_ranks(direction: str) -> torch.Tensor:
    scores = torch.tensor(CASE["inputs"]["similarity"], dtype=torch.float64)
    image_of_text = torch.tensor(CASE["inputs"]["caption_to_image"])
    correct = torch.arange(5)[:, None] == image_of_text
    return ranks(scores, correct) if direction == "image_to_text" else ranks(scores.T, correct.T)


@pytest.mark.parametrize("direction", ["image_to_text", "text_to_image"])
def test_golden_ranks(direction):
    expected = CASE["outputs"]["pessimistic"][direction]["ranks"]
    assert golden_ranks(direction).tolist() == expected


def features(rows: int, dim: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)).double()


def features_with_golden_similarity(image_of_text: torch.Tensor):
    """Unit features whose cosines are the golden scores: basis vectors, and texts with one more
    coordinate that makes them unit. Right pairs get 1e-9 less, so that rounding breaks no tie."""
    scores = torch.tensor(CASE["inputs"]["similarity"], dtype=torch.float64)
    scores -= 1e-9 * (torch.arange(5)[:, None] == image_of_text)
    rest = (1 - scores.square().sum(dim=0)).sqrt()
    return torch.eye(5, 6, dtype=torch.float64), torch.cat([scores, rest[None]]).T


@pytest.mark.parametrize("direction", ["image_to_text", "text_to_image"])
def test_golden_summary_from_features(direction):
    image_of_text = torch.tensor(CASE["inputs"]["caption_to_image"])
    images, texts = features_with_golden_similarity(image_of_text)
    ranking = image_text_retrieval(images, texts, image_of_text).directions()[direction]
    expected = CASE["outputs"]["pessimistic"][direction]
    assert ranking.ranks.tolist() == expected["ranks"]
    for k in (1, 3, 5, 10):
        assert ranking.recall(k) == pytest.approx(expected[f"R@{k}"])


score_tables = st.integers(1, 5).flatmap(
    lambda n: st.lists(
        st.tuples(*[st.tuples(st.integers(-3, 3), st.booleans())] * n), min_size=1, max_size=5
    )
)


@given(score_tables)
def test_rank_is_its_definition(table):
    scores = torch.tensor([[score for score, _ in row] for row in table]).double()
    correct = torch.tensor([[right for _, right in row] for row in table])
    for row, rank in zip(table, ranks(scores, correct).tolist(), strict=True):
        best = max((score for score, right in row if right), default=-math.inf)
        assert rank == 1 + sum(score >= best for score, right in row if not right)


@settings(max_examples=30)
@given(st.integers(1, 8), st.integers(0, 8), st.integers(0, 10**6))
def test_order_of_texts_does_not_matter(num_images, more, seed):
    rng = torch.Generator().manual_seed(seed)
    owner = torch.cat([torch.arange(num_images), torch.randint(num_images, (more,), generator=rng)])
    images, texts = features(num_images, 4, seed), features(len(owner), 4, seed + 1)
    order = torch.randperm(len(owner), generator=rng)
    plain = image_text_retrieval(images, texts, owner)
    shuffled = image_text_retrieval(images, texts[order], owner[order])
    assert torch.equal(plain.image_to_text.ranks, shuffled.image_to_text.ranks)
    assert torch.equal(plain.text_to_image.ranks[order], shuffled.text_to_image.ranks)


def test_length_of_features_does_not_matter():
    images, texts, owner = features(6, 4, 0), features(6, 4, 1), torch.arange(6)
    lengths = torch.arange(1, 7)[:, None]
    plain = image_text_retrieval(images, texts, owner)
    scaled = image_text_retrieval(images * lengths, texts / lengths, owner)
    assert torch.equal(plain.image_to_text.ranks, scaled.image_to_text.ranks)


def test_equal_features_are_no_success():
    same = torch.ones(4, 3)
    ranking = image_text_retrieval(same, same, torch.arange(4)).text_to_image
    assert (ranking.recall(1), ranking.recall(4)) == (0.0, 1.0)


@pytest.mark.parametrize("spoilt", [0, 1])
def test_not_a_number_is_no_success(spoilt):
    both = [torch.eye(3), torch.eye(3)]
    both[spoilt] = torch.full((3, 3), torch.nan)
    retrieval = image_text_retrieval(*both, torch.arange(3))
    assert retrieval.image_to_text.recall(1) == retrieval.text_to_image.recall(1) == 0.0


@pytest.mark.parametrize(
    ("candidates", "correct", "k"), [(5, 1, 2), (6, 2, 3), (4, 3, 2), (3, 1, 5)]
)
def test_chance_is_the_mean_over_all_orders(candidates, correct, k):
    orders = list(itertools.permutations(range(candidates)))
    hits = sum(min(order[:correct]) < k for order in orders)  # positions of the right ones
    assert chance_recall(candidates, correct, k) == pytest.approx(hits / len(orders))


@pytest.mark.parametrize(("candidates", "correct"), [(4, [1]), (5, [1]), (6, [2, 1]), (4, [3, 4])])
def test_chance_of_a_median_is_that_of_all_orders(candidates, correct):
    orders = list(itertools.permutations(range(candidates)))
    chances = [1 + min(order[:right]) for right in correct for order in orders]
    ranking = Ranking(torch.ones(len(correct)).long(), torch.tensor(correct), candidates)
    assert ranking.chance_median == statistics.median(chances)


def test_chance_counts_each_images_captions():
    image_of_text = torch.tensor([0, 0, 1])
    retrieval = image_text_retrieval(features(2, 3, 0), features(3, 3, 1), image_of_text)
    assert retrieval.image_to_text.chance(1) == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert retrieval.text_to_image.chance(1) == pytest.approx(1 / 2)


def test_one_text_of_several_images_finds_any_of_them():
    """Texts a and b; images 0 and 1 are a's, image 2 is b's and a's."""
    images = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    texts = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    image, text = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 0, 1, 0])
    found = image_text_retrieval(images, texts, image, text)
    assert found.image_to_text.ranks.tolist() == [1, 1, 1]
    assert found.image_to_text.num_correct.tolist() == [1, 1, 2]
    assert found.text_to_image.ranks.tolist() == [1, 1]
    assert found.text_to_image.num_correct.tolist() == [3, 1]
    assert found.text_to_image.chance(1) == pytest.approx((1 + 1 / 3) / 2)


def test_pairs_that_are_spelled_out_are_those_of_the_short_form():
    images, texts, owner = features(4, 3, 0), features(6, 3, 1), torch.tensor([0, 1, 2, 3, 0, 2])
    short = image_text_retrieval(images, texts, owner)
    spelled = image_text_retrieval(images, texts, owner, torch.arange(6))
    for direction, ranking in short.directions().items():
        assert torch.equal(ranking.ranks, spelled.directions()[direction].ranks)


def test_a_text_without_an_image_is_refused():
    with pytest.raises(DataError, match="1 captions have no image, the first is number 1"):
        image_text_retrieval(
            features(2, 3, 0), features(3, 3, 1), torch.tensor([0, 1]), torch.tensor([0, 2])
        )


def test_more_queries_than_one_chunk():
    """Every image finds its own text, on both sides of the chunk's edge."""
    images = features(1100, 16, 0)
    retrieval = image_text_retrieval(images, images, torch.arange(1100))
    assert retrieval.image_to_text.recall(1) == 1.0


@pytest.mark.usefixtures("shapes_not_checked")
@pytest.mark.parametrize(
    ("image_of_text", "complaint"),
    [
        ([0, 0, 2], "1 images have no caption, the first is number 1"),
        ([0, 1, 3], r"must lie in 0\.\.2"),
        ([0, 1], "3 texts, but 2 image numbers"),
    ],
)
def test_texts_that_do_not_cover_the_images_are_refused(image_of_text, complaint):
    with pytest.raises(DataError, match=complaint):
        image_text_retrieval(features(3, 4, 0), features(3, 4, 1), torch.tensor(image_of_text))


def test_prompt_following_counts_the_right_prompt_among_all():
    prompts = torch.eye(4)
    images = torch.tensor([[1.0, 0, 0, 0], [0.9, 1.0, 0, 0], [0.8, 0.9, 0.0, 1.0]])
    ranking = prompt_following(images, prompts, torch.tensor([0, 0, 0]))
    assert ranking.ranks.tolist() == [1, 2, 3]
    assert [ranking.recall(k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert ranking.chance(1) == pytest.approx(1 / 4)


# What is equal ties, wherever it stands


@pytest.mark.parametrize("count", [7, 8, 9, 10])
def test_equal_prompts_tie(count):
    """A product can round equal columns differently: R@1 was up to 0.58 where 0 is right."""
    for seed in range(20):
        rng = torch.Generator().manual_seed(seed)
        for dim in (33, 64, 512):
            prompts = torch.randn(1, dim, generator=rng).expand(count, dim).contiguous()
            images = torch.randn(count, dim, generator=rng)
            own = torch.arange(count)
            # one image at a time too: that product is rounded by other code
            alone = [prompt_following(images[:1], prompts, own[k : k + 1]).ranks for k in own]
            assert torch.cat(alone).tolist() == [count] * count
            assert prompt_following(images, prompts, own).ranks.tolist() == [count] * count
            both = image_text_retrieval(images, prompts, own)
            assert both.image_to_text.ranks.tolist() == [count] * count
            turned = image_text_retrieval(prompts, images, own)
            assert turned.text_to_image.ranks.tolist() == [count] * count


@pytest.mark.parametrize("count", [7, 8, 9, 10])
def test_equal_classes_tie(count):
    rng = torch.Generator().manual_seed(count)
    prompts = torch.randn(1, 3, 77, generator=rng).expand(count, 3, 77).contiguous()
    images, labels = torch.randn(50, 77, generator=rng), torch.arange(50) % count
    weights = class_weights(prompts)
    assert zero_shot_ranks(zero_shot_logits(images, weights), labels).tolist() == [count] * 50
    for image, label in zip(images.split(1), labels.split(1), strict=True):
        assert zero_shot_ranks(zero_shot_logits(image, weights), label).tolist() == [count]


def test_pairs_of_equal_prompts_among_others_tie():
    rng = torch.Generator().manual_seed(0)
    prompts = torch.randn(5, 64, generator=rng).repeat(2, 1)
    following = prompt_following(prompts, prompts, torch.arange(10))
    assert following.ranks.tolist() == [2] * 10
