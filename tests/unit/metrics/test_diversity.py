"""Diversity of a prompt's pictures: pairs one by one, and its range."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.metrics import diversity_of_prompts


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 5))
def test_mean_over_pairs_one_by_one(seed, per_prompt, prompts):
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(prompts * per_prompt, 4, generator=rng, dtype=torch.float64)
    found = diversity_of_prompts(features, per_prompt)
    for value, own in zip(found.tolist(), features.split(per_prompt), strict=True):
        pairs = itertools.combinations(own, 2)
        distances = [1 - torch.cosine_similarity(a, b, dim=0).item() for a, b in pairs]
        assert value == pytest.approx(sum(distances) / len(distances), abs=1e-12)
    assert found.min() >= 0
    assert found.max() <= per_prompt / (per_prompt - 1) + 1e-12


def test_equal_pictures_have_none_whatever_their_length():
    features = torch.ones(6, 3) * torch.tensor([1.0, 2, 3, 4, 5, 6])[:, None]
    assert diversity_of_prompts(features, 3).tolist() == pytest.approx([0, 0], abs=1e-12)


def test_orthogonal_pictures_are_one_apart_and_opposite_ones_two():
    features = torch.cat([torch.eye(2), torch.tensor([[1.0, 0], [-1, 0]])])
    assert diversity_of_prompts(features, 2).tolist() == pytest.approx([1, 2])


@pytest.mark.parametrize("per_prompt", [1, 4])
def test_single_pictures_and_broken_prompts_are_refused(per_prompt):
    with pytest.raises(ValueError, match=f"6 pictures, {per_prompt} of each prompt"):
        diversity_of_prompts(torch.rand(6, 3), per_prompt)
