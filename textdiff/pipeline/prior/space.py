"""The space of a CLIP's embeddings, as files and models record it."""

from __future__ import annotations

from textdiff.clip.model import ClipModel
from textdiff.data.embedding_space import UNIT, EmbeddingSpace


def space_of(clip: ClipModel) -> EmbeddingSpace:
    """That of its unit embeddings."""
    return EmbeddingSpace(
        clip_weights=clip.weights_hash(),
        clip_architecture=clip.architecture_hash(),
        embed_dim=clip.embed_dim,
        normalisation=UNIT,
    )
