"""Which CLIP's embeddings, and how long they are: what embeddings and models must agree on."""

from __future__ import annotations

from pydantic import Field

from textdiff.config import Settings
from textdiff.errors import UsageError

UNIT = "unit"


class EmbeddingSpace(Settings):
    """Recorded with embeddings and with every model that was trained on them."""

    clip_weights: str = Field(description="hash of the CLIP's weights")
    clip_architecture: str = Field(description="hash of its config and tokenizer")
    embed_dim: int = Field(ge=1, description="length of an embedding")
    normalisation: str = Field(UNIT, description="unit: each embedding has length 1")


WORDS = {
    "clip_weights": "embeddings of the CLIP {}",
    "clip_architecture": "embeddings of a CLIP of architecture {}",
    "embed_dim": "embeddings of {} numbers",
    "normalisation": "embeddings of normalisation {}",
}


def check_same_space(
    one: str, of_one: EmbeddingSpace, other: str, of_other: EmbeddingSpace
) -> None:
    """Raises UsageError where both differ, with both values.

    one, other: what the user calls them, such as "--embeddings e.safetensors".
    """
    for key, words in WORDS.items():
        mine, others = getattr(of_one, key), getattr(of_other, key)
        if mine != others:
            raise UsageError(
                f"{one} has {words.format(mine)}, {other} has {words.format(others)}; take both "
                "from one CLIP and one 'textdiff embed'"
            )
