"""Pictures of a prompt together, also where prompts have unequal numbers of them."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.extractors import MeanColours
from textdiff.evaluation.distribution.drawn import given_features
from textdiff.evaluation.distribution.grouping import group_by_prompt, largest_grouping
from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.metrics import kid


def features_of(captions: list[list[str]], features: torch.Tensor | None = None) -> FeatureSet:
    numbers = list(range(len(captions)))
    rows = torch.arange(float(len(captions)))[:, None] if features is None else features
    return FeatureSet(rows, numbers, captions, MeanColours().protocol, {}, {})


@pytest.mark.parametrize(
    ("prompts", "order", "per_prompt"),
    [
        ("abab", [0, 2, 1, 3], 2),
        ("aabb", [0, 1, 2, 3], 2),
        ("abcd", [0, 1, 2, 3], 1),
        ("aaab", [0, 3], 1),
        ("aabab", [0, 1, 2, 4], 2),
        ("abaabbc", [0, 2, 3, 1, 4, 5], 3),
        ("aaaa", [0, 1, 2, 3], 1),
        ("ab-a", [0, 1, 2, 3], 1),
    ],
)
def test_pictures_of_a_prompt_are_brought_together(prompts, order, per_prompt):
    captions = [[p] if p != "-" else [] for p in prompts]
    grouped, count, _ = group_by_prompt(features_of(captions))
    assert count == per_prompt
    assert grouped.positions == order == grouped.features[:, 0].long().tolist()
    assert grouped.captions == [captions[k] for k in order]


@pytest.mark.parametrize(
    ("counts", "size"), [([4] * 9 + [3], 4), ([1] * 9 + [4], 1), ([3, 2], 2), ([2, 1, 1], 1)]
)
def test_most_pictures_are_kept(counts, size):
    assert largest_grouping(counts) == size


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        (
            "aabab",
            ["Prompts have 2 to 3 pictures; used are the first 2 of each,", "4 of 5 pictures;"],
        ),
        ("aabbc", ["used are the first 2 of each", "4 of 5 pictures of 2 of 3 prompts"]),
        ("aa-", ["1 of 3 pictures have no prompt", "KID is too large"]),
        ("ab-", []),
        ("abab", []),
    ],
)
def test_what_was_left_out_is_said(prompts, said):
    drawn = given_features(features_of([[p] if p != "-" else [""] for p in prompts]))
    assert len(drawn.notes) == bool(said)
    assert all(words in drawn.notes[0] for words in said)


def test_one_picture_less_does_not_make_a_distribution_another():
    """Pictures of a prompt are alike; without the last of them KID must stay what it is."""
    generator = torch.Generator().manual_seed(0)
    means, real = torch.randn(100, 4, generator=generator), torch.randn(400, 4, generator=generator)
    drawn = means.repeat_interleave(4, dim=0) + 0.1 * torch.randn(400, 4, generator=generator)
    captions = [[f"prompt {k // 4}"] for k in range(400)]
    whole = given_features(features_of(captions, drawn))
    short = given_features(features_of(captions[:-1], drawn[:-1]))
    assert (whole.per_prompt, short.per_prompt, len(short.features)) == (4, 4, 396)
    expected, found = (
        kid(each.features.features, real, each.per_prompt) for each in (whole, short)
    )
    ungrouped = kid(drawn, real)
    assert abs(found - expected) < abs(ungrouped - expected) / 5
