"""Embeddings to codes and back: exact numbers, the identity, what cannot be fitted."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.models.codes import EmbeddingCodes, principal_components

GOLDEN = golden("unclip")
CASE = GOLDEN["by_id"]["ar_prior_codes"]
GIVEN, WANTED = CASE["inputs"], CASE["outputs"]
EMBEDDINGS = torch.tensor(GIVEN["embeddings"], dtype=torch.float64)


@pytest.fixture
def codes() -> EmbeddingCodes:
    fresh = EmbeddingCodes(4, GIVEN["num_components"], GIVEN["num_buckets"]).double()
    fresh.fit(EMBEDDINGS)
    return fresh


def close(found: torch.Tensor, name: str) -> None:
    wanted = torch.tensor(WANTED[name], dtype=torch.float64)
    torch.testing.assert_close(found.double(), wanted, **GOLDEN["tolerance"]["float64"])


def test_principal_components():
    found = principal_components(EMBEDDINGS)
    close(found.mean, "mean")
    close(found.eigenvalues, "eigenvalues")
    close(found.components[:2], "components")
    close(torch.tensor(found.explained(2), dtype=torch.float64), "explained_fraction")


def test_scores_and_their_range(codes):
    close(codes.scores(EMBEDDINGS), "scores")
    close(codes.low, "bucket_low")
    close(codes.high, "bucket_high")
    back = codes.scores(EMBEDDINGS) @ codes.components + codes.mean
    close((back - EMBEDDINGS).square().mean(), "reconstruction_mse")


def test_codes_and_what_they_stand_for(codes):
    assert codes.encode(EMBEDDINGS).tolist() == WANTED["codes"]
    back = codes.decode(codes.encode(EMBEDDINGS))
    close((back - EMBEDDINGS).square().mean(), "dequantised_mse")


@given(st.integers(1, 12), st.integers(2, 40), st.integers(0, 99))
def test_codes_to_embeddings_to_codes_is_the_identity(components, buckets, seed):
    rng = torch.Generator().manual_seed(seed)
    codes = EmbeddingCodes(12, components, buckets)
    codes.fit(torch.nn.functional.normalize(torch.randn(50, 12, generator=rng), dim=1))
    drawn = torch.randint(buckets, (30, components), generator=rng)
    assert torch.equal(codes.encode(codes.decode(drawn)), drawn)


def test_values_outside_the_range_of_training_are_clamped(codes):
    far = codes.mean + 9 * codes.components.sum(dim=0)
    assert codes.encode(torch.stack([far, 2 * codes.mean - far])).tolist() == [[7, 7], [0, 0]]


def test_a_coordinate_that_never_changes_has_codes_too():
    codes = EmbeddingCodes(3, 2, 4)
    codes.fit(torch.tensor([[0.0, 1, 0], [1, 0, 0], [0.5, 0.5, 0]]))
    assert codes.decode(codes.encode(torch.ones(1, 3))).isfinite().all()


@pytest.mark.parametrize(("rows", "components"), [(3, 4), (9, 5)])
def test_more_components_than_there_are(rows, components):
    with pytest.raises(ValueError, match=f"{components} components of {rows} embeddings of 4"):
        EmbeddingCodes(4, components, 8).fit(torch.randn(rows, 4))


def test_tables_are_not_trained(codes):
    assert not any(table.requires_grad for table in codes.parameters())
    assert set(codes.state_dict()) == {"mean", "components", "low", "high"}
