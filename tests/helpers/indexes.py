"""Small indexes whose features are known: the mean colour of each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tests.helpers.extractors import MeanColours
from tests.helpers.shapes import draw_shape
from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.retrieval.index import Index
from textdiff.retrieval.planes import Planes, StoredRows
from textdiff.retrieval.writer import IndexWriter


@dataclass
class ShapeColours(MeanColours):
    """For a caption such as "red circle" the features of its picture."""

    def encode_texts(self, captions: Sequence[str]) -> Tensor:
        pictures = [np.asarray(draw_shape(*caption.split())) for caption in captions]
        return torch.from_numpy(np.stack(pictures)).float().mean(dim=(1, 2))

    def num_truncated(self, captions: Sequence[str]) -> int:
        return 0


def opened(folder: Path, split: str = "all", **changes: object) -> CaptionedImages:
    settings = {"source": str(folder), "image_size": 16, "min_side": 4, "need_captions": False}
    return open_data(DataConfig(**{**settings, **changes}), split)


def build(out: Path, *sources: CaptionedImages, extractor: MeanColours | None = None) -> Index:
    features = CachedFeatures(extractor or ShapeColours())
    with IndexWriter.create(out, features, "colours") as writer:
        for data in sources:
            writer.add(data)
        writer.finish()
    return Index.open(out)


def stored(*parts: Tensor, gone: list[int] | None = None) -> StoredRows:
    """Rows in so many parts, without those numbered `gone`."""
    rows = StoredRows([Planes.of(part) for part in parts])
    if gone is None:
        return rows
    mask = torch.zeros(len(rows), dtype=torch.bool)
    mask[gone] = True
    return StoredRows(rows.parts, mask.numpy())
