"""Embeddings whose numbers are known."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn.functional import normalize

from textdiff.data.embedding_space import EmbeddingSpace
from textdiff.data.embeddings import Embeddings

SPACE = EmbeddingSpace(clip_weights="0123", clip_architecture="4567", embed_dim=6)


def embeddings(rows: int = 8, **changes) -> Embeddings:
    """Every fourth row is val, the one after it test; two rows share each caption, the first of
    which has another one besides."""
    rng = torch.Generator().manual_seed(0)
    captions = [[f"caption {row // 2}", *(["second"] * (row == 0))] for row in range(rows)]
    texts = list(dict.fromkeys(text for texts in captions for text in texts))
    splits = [{2: "val", 3: "test"}.get(row % 4, "train") for row in range(rows)]
    usual = Embeddings(
        image=normalize(torch.randn(rows, 6, generator=rng), dim=1),
        text=normalize(torch.randn(len(texts), 6, generator=rng), dim=1),
        texts=texts,
        identifiers=[f"{row}.png" for row in range(rows)],
        splits=splits,
        captions=captions,
        clip="runs/clip",
        space=SPACE,
        source={"source": "shapes", "split": "all"},
        attribution="by somebody",
        bad={"bad.png": "truncated"},
    )
    return replace(usual, **changes)
