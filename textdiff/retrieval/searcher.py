"""Search of an index by what its CLIP makes of texts and pictures.

    q = sum_i w_i f_i / |sum_i w_i f_i|        f_i: unit features of the parts
    score = q . x                              x: of a picture

What is subtracted (w_i < 0) changes the order, but a picture matches by what it should be like:

    likeness = p . x > T                       p: as q, over w_i > 0 alone
    T = sum w_i T_i / sum w_i, w_i > 0         T_i: threshold for texts or for pictures
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
from textdiff.retrieval.index import Index, unit
from textdiff.retrieval.query import Found, Query
from textdiff.retrieval.settings import NEAR_DUPLICATES

SHORTEST = 1e-3  # of a sum of unit features: below, its direction is what rounding made it


@dataclass(frozen=True)
class Searcher:
    """clip: frozen, that of the index. name: what the user calls it. Raises UsageError: it is
    another."""

    index: Index
    clip: ClipModel
    name: str = "this CLIP"

    def __post_init__(self) -> None:
        self.index.check_clip(self._extractor.protocol)

    @cached_property
    def _extractor(self) -> ClipExtractor:
        return ClipExtractor(self.name, self.clip)

    def search(
        self,
        query: Query,
        top: int = 20,
        near: float | None = NEAR_DUPLICATES,
        exact: bool = False,
    ) -> Found:
        """The `top` pictures nearest to a query.

        Args:
            near: cosine from which pictures are listed once, with their number; None: all are.
            exact: look at every picture, even where the index has lists.

        Raises:
            UsageError: a query without parts, an empty text, weights that are 0 or not finite,
                parts that cancel each other, a top below 1.
            BadImage: a picture that cannot be used.
        """
        start = time.perf_counter()
        weights, features = self._parts(query)
        sought, positive = weighted(weights, features), weights.clamp(min=0)
        like = weighted(positive, features) if positive.any() else sought
        hits = self.index.hits(sought, top, near, like=like, exact=exact)
        threshold, quantile = self._threshold(query)
        seconds = time.perf_counter() - start
        return Found(hits, threshold, quantile, seconds, self.index.recall(exact))

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

    def _threshold(self, query: Query) -> tuple[float | None, float | None]:
        """Of the likeness of matches, and its quantile; None: not known."""
        calibration = self.index.manifest.calibration
        if calibration is None:
            return None, None
        parts = [(text.weight, calibration.text) for text in query.texts]
        parts += [(picture.weight, calibration.picture) for picture in query.pictures]
        total = weights = 0.0
        quantile = 1.0
        for weight, threshold in parts:
            if weight > 0 and threshold is None:
                return None, None
            if weight > 0 and threshold is not None:
                total, weights = total + weight * threshold.value, weights + weight
                quantile = min(quantile, threshold.quantile)
        return (total / weights, quantile) if weights else (None, None)


def weighted(weights: Tensor, features: Tensor) -> Tensor:
    """(1, D) float32, of length 1. Raises UsageError: the parts cancel each other."""
    total = (weights[:, None] * features).sum(dim=0, keepdim=True)
    length = torch.linalg.vector_norm(total)
    if length < SHORTEST:
        raise UsageError("the parts of the query cancel each other; change a weight")
    return (total / length).float()
