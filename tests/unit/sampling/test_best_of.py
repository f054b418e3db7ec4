"""The candidate that is nearest to its text."""

from __future__ import annotations

import torch

from tests.helpers.golden import golden
from textdiff.sampling.best_of import best_of, dot_products, nearest_to_text


def test_best_of_two():
    case = golden("unclip")["by_id"]["best_of_two"]
    candidates = torch.tensor(case["inputs"]["candidates"], dtype=torch.float64)
    text = torch.tensor([case["inputs"]["text_embedding"]] * 2, dtype=torch.float64)
    wanted = torch.tensor(case["outputs"]["dot_products"], dtype=torch.float64)
    torch.testing.assert_close(dot_products(candidates, text), wanted)
    assert nearest_to_text(candidates, text).tolist() == case["outputs"]["chosen"]
    assert torch.equal(best_of(candidates, text), candidates[:, 1])


def test_the_first_of_equals():
    assert nearest_to_text(torch.ones(1, 3, 2), torch.ones(1, 2)).tolist() == [0]
