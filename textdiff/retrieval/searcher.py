"""Search of an index by what its CLIP makes of texts and pictures.

    q = sum_i w_i f_i / |sum_i w_i f_i|                          f_i: unit features of the parts

    score = q . x = sum_i w_i (f_i . x) / |sum_i w_i f_i|

A picture that has nothing to do with the query has f_i . x at T_i at most, the threshold of texts
or of pictures, and about m_i, its typical value; so a match of a query of several parts is above

    (sum_{w_i > 0} w_i T_i + sum_{w_i < 0} w_i m_i) / |sum_i w_i f_i|
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import torch
from PIL.Image import Image
from torch import Tensor

from textdiff.clip import ClipModel
from textdiff.data.config import DataConfig
from textdiff.data.decode import to_rgb, to_square
from textdiff.errors import UsageError
from textdiff.evaluation.features.clip import ClipExtractor
from textdiff.retrieval.grouping import NEAR
from textdiff.retrieval.index import Index, unit
from textdiff.retrieval.query import Found, Query

SHORTEST = 1e-3  # of a sum of unit features: below, its direction is what rounding made it


@dataclass(frozen=True)
class Searcher:
    """clip: frozen, that of the index. Raises UsageError: it is another."""

    index: Index
    clip: ClipModel

    def __post_init__(self) -> None:
        self.index.check_clip(self._extractor.protocol)

    @cached_property
    def _extractor(self) -> ClipExtractor:
        return ClipExtractor(self.index.manifest.clip, self.clip)

    def search(self, query: Query, top: int = 20, near: float | None = NEAR) -> Found:
        """The `top` pictures nearest to a query. near: cosine from which pictures are listed once,
        with their number; None: all are listed.

        Raises:
            UsageError: a query without parts, an empty text, weights that are 0 or not finite,
                parts that cancel each other, a top below 1.
            BadImage: a picture that cannot be used.
        """
        start = time.perf_counter()
        weights, features = self._parts(query)
        total = (weights[:, None] * features).sum(dim=0, keepdim=True)
        length = torch.linalg.vector_norm(total).item()
        if length < SHORTEST:
            raise UsageError("the parts of the query cancel each other; change a weight")
        hits = self.index.hits((total / length).float(), top, near)
        threshold, quantile = self._threshold(query, length)
        return Found(hits, threshold, quantile, time.perf_counter() - start)

    def _parts(self, query: Query) -> tuple[Tensor, Tensor]:
        """Weights (p,) and unit features (p, D), float64; texts first."""
        given = [text.weight for text in query.texts] + [each.weight for each in query.pictures]
        if not given:
            raise UsageError("an empty query; give a text or a picture")
        for text in query.texts:
            if not text.value.strip():
                raise UsageError("an empty text; say what the pictures should show")
        weights = torch.tensor(given, dtype=torch.float64)
        if not weights.isfinite().all() or not weights.all():
            raise UsageError(f"weights {given}; give finite ones that are not 0")
        features = []
        if query.texts:
            features.append(self._extractor.encode_texts([text.value for text in query.texts]))
        if query.pictures:
            pictures = [self._prepared(picture.value) for picture in query.pictures]
            features.append(self._extractor.encode(torch.stack(pictures)))
        return weights, unit(torch.cat(features)).double()

    def _prepared(self, picture: Image) -> Tensor:
        """(3, S, S) uint8, as pictures of files become what this CLIP sees."""
        return to_square(to_rgb(picture), self._extractor.prepared(DataConfig()))

    def _threshold(self, query: Query, length: float) -> tuple[float | None, float | None]:
        """Of matches, and its quantile. length: of the weighted sum."""
        calibration = self.index.manifest.calibration
        of_texts, of_pictures = (
            (calibration.text, calibration.picture) if calibration else (None, None)
        )
        parts = [(text.weight, of_texts) for text in query.texts]
        parts += [(picture.weight, of_pictures) for picture in query.pictures]
        total, quantile = 0.0, 1.0
        for weight, threshold in parts:
            if threshold is None:
                return None, None
            total += weight * (threshold.value if weight > 0 else threshold.typical)
            quantile = min(quantile, threshold.quantile)
        return total / length, quantile
