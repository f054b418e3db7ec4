"""Cosines and searches by hand and by brute force."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.errors import DataError
from textdiff.metrics.embeddings import cosines, of_another_caption, search


def test_cosines_of_any_lengths():
    one = torch.tensor([[3.0, 4], [1, 0], [1, 1]])
    other = torch.tensor([[6.0, 8], [0, 2], [-5, -5]])
    assert cosines(one, other).tolist() == pytest.approx([1, 0, -1])


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=9).filter(lambda c: len(set(c)) > 1))
def test_the_next_row_of_another_caption(captions):
    count = len(captions)
    for row, found in enumerate(of_another_caption(captions).tolist()):
        circle = [(row + k) % count for k in range(1, count + 1)]
        assert found == next(k for k in circle if captions[k] != captions[row])


def test_captions_that_are_all_the_same():
    with pytest.raises(DataError, match="all 3 images have one caption"):
        of_another_caption(["a"] * 3)


@given(st.integers(0, 999))
def test_ranks_are_those_of_brute_force(seed):
    rng = torch.Generator().manual_seed(seed)
    drawn, images = torch.randn(2, 8, 3, generator=rng).unbind()
    captions = [f"caption {k}" for k in torch.randint(4, (8,), generator=rng).tolist()]
    ranking = search(drawn, images, captions)
    scores = torch.nn.functional.normalize(drawn, dim=1) @ images.div(images.norm(dim=1)[:, None]).T
    for row in range(8):
        right = torch.tensor([caption == captions[row] for caption in captions])
        best = scores[row][right].max()
        assert ranking.ranks[row] == 1 + (scores[row][~right] >= best - 1e-6).sum()
        assert ranking.num_correct[row] == right.sum()
