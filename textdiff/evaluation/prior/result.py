"""What `textdiff prior` finds: how near embeddings come, and how often they find their image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from textdiff.evaluation.per_item import PerItem
from textdiff.evaluation.results import INLINE
from textdiff.evaluation.retrieval.measure import Rates
from textdiff.metrics.bootstrap import Estimate


@dataclass(frozen=True)
class PriorModelProtocol:
    """A prior. step: of its checkpoint. weights, clip: hashes of its networks."""

    name: str
    kind: str
    step: int | None
    weights: str
    clip: str


@dataclass(frozen=True)
class EmbeddingsProtocol:
    """Rows of a file of embeddings. fingerprint: of the embeddings and captions of these rows.
    data: what the file says that it is of."""

    split: str
    images: int
    fingerprint: str
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PriorProtocol:
    """sampling: how embeddings were drawn."""

    metric: str = "prior: cosines of drawn embeddings, R@k among images, ties count against"
    prior: PriorModelProtocol
    embeddings: EmbeddingsProtocol
    sampling: dict[str, Any]


@dataclass(frozen=True)
class Nearness:
    """Means over the images.

    cosine: to the image that the embedding stands for. cosine_of_text: to its caption.
    cosine_of_another: to the next image of another caption. rates: R@k among all images, of which
    those of the same caption are right.
    """

    cosine: Estimate
    cosine_of_text: Estimate
    cosine_of_another: Estimate
    rates: Annotated[Rates, INLINE]


@dataclass(frozen=True)
class PriorResult:
    """results: by what stands for the image: "best of 2", "text embedding", "mean embedding", and
    "image itself", whose cosine_of_text and cosine_of_another are what could be reached.

    searched, captions: how many images, and different first captions.
    image_to_text: R@k of the images themselves among the captions.
    per_item: by the same names, of each image by its identifier.
    """

    searched: int
    captions: int
    results: dict[str, Nearness]
    image_to_text: Rates
    per_item: dict[str, PerItem] = field(default_factory=dict)

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        for name, nearness in self.results.items():
            yield f"{name}, cosine", nearness.cosine
            yield f"{name}, R@1", nearness.rates.at_1.recall
