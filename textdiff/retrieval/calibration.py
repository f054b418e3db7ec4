"""From which score on something matches, told by what does not.

    queries that have nothing to do with a picture ── best score of such pictures ──► quantile

Texts: captions of the index, each asked among the pictures whose captions share no word with it,
and words that no one has, asked among all; the higher of the two thresholds counts, since a CLIP
trained on few words may score those that it never saw higher than the ones it tells apart.
Pictures: those of the index, each among the others of which the same is true as of captions, or
that it does not nearly equal where there are none. Words of more than COMMON of the captions do not
count.

So the best score of a query that the index knows nothing about stays below the threshold with
probability `quantile`, as far as it is like these. It is the highest of `QUANTILES` that leaves
`FOUND` of the index' own captions a match, or the lowest. Pictures that show the same under other
words are among the unrelated ones, which makes the threshold a little high.
"""

from __future__ import annotations

import random
import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.retrieval.exact import nearest_rows
from textdiff.retrieval.index import Index, unit
from textdiff.retrieval.manifest import Calibration, Threshold
from textdiff.retrieval.planes import UnitRows
from textdiff.retrieval.settings import NEAR_DUPLICATES

QUANTILES = (0.95, 0.9, 0.8)
FOUND = 0.95
QUERIES = 512  # of either kind, at most
FEWEST = 20  # queries, for the quantile to have one above it
LOOKED_AT = 64  # nearest pictures of a query among which an unrelated one is looked for
COMMON = 0.2
WORD = re.compile(r"\w+")


def calibrate(index: Index, features: CachedFeatures) -> Calibration:
    """Both thresholds of an index, in no more memory than a search."""
    rows = evenly(index.live_rows(), QUERIES)
    words = Words.of([index.captions(row) for row in rows])
    captioned = [row for row in rows if index.caption(row)]
    text = picture = None
    if captioned:
        texts = unit(features.of_captions([index.caption(row) for row in captioned]))
        unrelated = best_unrelated(index, captioned, texts, words, None)
        if len(unrelated) >= FEWEST:
            unknown = best_scores(index, unit(features.of_captions(made_up_texts(QUERIES))))
            text = threshold([unrelated, unknown], best_scores(index, texts))
    if rows:
        pictures = index.rows.take(rows)
        unrelated = best_unrelated(index, rows, pictures, words, NEAR_DUPLICATES)
        if len(unrelated) >= FEWEST:
            picture = threshold([unrelated], best_scores(index, pictures))
    return Calibration(len(index), text, picture)


def threshold(unrelated: Sequence[Float[Tensor, " ..."]], own: Float[Tensor, " ..."]) -> Threshold:
    """unrelated: of each kind of query the best scores of what has nothing to do with it; the kind
    that scores highest counts. own: best scores of queries that belong to the index."""
    for quantile in QUANTILES:
        value, queries = max((s.quantile(quantile).item(), len(s)) for s in unrelated)
        if (own > value).double().mean() >= FOUND:
            break
    return Threshold(value, quantile, queries)


def best_scores(index: Index, queries: UnitRows) -> Float[Tensor, " n"]:
    """(n,) float64, of queries (n, D), whatever the picture."""
    return nearest_rows(queries, index.rows, 1).scores[:, 0]


def evenly(rows: np.ndarray, count: int) -> list[int]:
    """At most `count` of them, spread over all."""
    if len(rows) <= count:
        return rows.tolist()
    return rows[np.arange(count) * len(rows) // count].tolist()


class Words:
    """The words of captions that tell what is in a picture."""

    def __init__(self, common: frozenset[str]) -> None:
        self._common = common

    @classmethod
    def of(cls, captions: Sequence[Sequence[str]]) -> Words:
        """captions: of some pictures, by which it is known what every picture has."""
        counts = Counter(word for texts in captions for word in words_of(texts))
        return cls(frozenset(w for w, n in counts.items() if n > COMMON * len(captions)))

    def shared(self, one: Sequence[str], other: Sequence[str]) -> bool:
        return bool((words_of(one) & words_of(other)) - self._common)


def words_of(texts: Sequence[str]) -> set[str]:
    return {word for text in texts for word in WORD.findall(text.lower())}


def best_unrelated(
    index: Index, rows: Sequence[int], queries: UnitRows, words: Words, near: float | None
) -> Float[Tensor, " m"]:
    """(m,) float64, of m <= n queries the best score among unrelated pictures, where it is known.

    queries: (n, D), one that belongs to each of `rows`. near: score from which another picture
    counts as the query itself; None: none does."""
    nearest = nearest_rows(queries, index.rows, LOOKED_AT)
    best = []
    for row, others, scores in zip(
        rows, nearest.rows.tolist(), nearest.scores.tolist(), strict=True
    ):
        own = index.captions(row)
        unrelated = [
            score
            for other, score in zip(others, scores, strict=True)
            if other != row
            and not (near and score >= near)
            and not words.shared(own, index.captions(other))
        ]
        if unrelated:
            best.append(unrelated[0])
        elif len(others) < len(index):
            best.append(scores[-1])  # unrelated ones that were not looked at have less
    return torch.tensor(best, dtype=torch.float64)


def made_up_texts(count: int) -> list[str]:
    """One to three words each, of three to eight letters drawn at random; always the same ones."""
    drawn = random.Random(0)

    def word() -> str:
        return "".join(drawn.choices(string.ascii_lowercase, k=drawn.randint(3, 8)))

    return [" ".join(word() for _ in range(drawn.randint(1, 3))) for _ in range(count)]
