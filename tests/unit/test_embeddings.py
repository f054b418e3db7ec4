"""The timestep embedding equals the golden numbers."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.golden import golden
from textdiff.embeddings import timestep_embedding

GOLDEN = golden("timestep_embedding")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["id"])
def test_equals_golden_numbers(case: dict, dtype: torch.dtype) -> None:
    inputs = case["inputs"]
    embedding = timestep_embedding(
        torch.tensor(inputs["timesteps"]), inputs["dim"], inputs["max_period"], dtype
    )
    expected = torch.tensor(case["outputs"]["embedding"], dtype=dtype)
    tolerance = GOLDEN["tolerance"][str(dtype).removeprefix("torch.")]
    torch.testing.assert_close(embedding, expected, **tolerance)


def test_is_computed_in_fp32_under_autocast() -> None:
    timestep = torch.tensor([998, 999])
    with torch.autocast("cpu", torch.bfloat16):
        embedding = timestep_embedding(timestep, 8)
    assert torch.equal(embedding, timestep_embedding(timestep, 8))
