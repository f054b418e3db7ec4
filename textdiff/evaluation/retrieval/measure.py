"""R@1, R@5, R@10 and median rank of a CLIP on a split, image to text and text to image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from textdiff.errors import DataError
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.evaluation.per_item import PerItem, values_by_item
from textdiff.evaluation.protocol import ClipProtocol, SourceProtocol
from textdiff.evaluation.results import INLINE, Key
from textdiff.evaluation.tables import print_estimates, print_notes
from textdiff.metrics.bootstrap import Estimate, estimate_mean, estimate_median
from textdiff.metrics.features import distinct_captions
from textdiff.metrics.retrieval import Numbers, Ranking, Retrieval, image_text_retrieval
from textdiff.metrics.sample_size import too_few


@dataclass(frozen=True, kw_only=True)
class RetrievalProtocol:
    """data: of a feature file, what it says that it is of."""

    metric: str = "retrieval R@k, ties count against"
    data: SourceProtocol
    clip: ClipProtocol


@dataclass(frozen=True)
class Rate:
    """recall: R@k. chance: in random order."""

    recall: Annotated[Estimate, INLINE]
    chance: float


@dataclass(frozen=True)
class MedianRank:
    """rank: the median. chance: in random order."""

    rank: Annotated[Estimate, INLINE]
    chance: float


@dataclass(frozen=True)
class Rates:
    """One direction of the search."""

    at_1: Annotated[Rate, Key("R@1")]
    at_5: Annotated[Rate, Key("R@5")]
    at_10: Annotated[Rate, Key("R@10")]
    median: Annotated[MedianRank, Key("median rank")]

    def by_k(self) -> dict[int, Rate]:
        return {1: self.at_1, 5: self.at_5, 10: self.at_10}


@dataclass(frozen=True)
class BothWays:
    image_to_text: Rates
    text_to_image: Rates

    def by_direction(self) -> dict[str, Rates]:
        return {"image to text": self.image_to_text, "text to image": self.text_to_image}


@dataclass(frozen=True)
class RetrievalResult:
    """searched, captions: how many images and distinct captions. captions_cut: those of them that
    the text tower sees cut. per_item: by direction, the "rank" for each query, by the position of
    its image in the split. captions_shared: those that several images have, any of which is
    right."""

    searched: int
    captions: int
    captions_cut: int
    rates: Annotated[BothWays, Key("results")]
    captions_shared: int = 0
    per_item: dict[str, PerItem] = field(default_factory=dict)

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        for direction, rates in self.rates.by_direction().items():
            for k, rate in rates.by_k().items():
                yield f"{direction} R@{k}", rate.recall
            yield f"{direction} median rank", rates.median.rank


def measure_retrieval(clip: CachedFeatures, images: FeatureSet) -> RetrievalResult:
    """Search among images with their captions; one that several images have is one, and finds any
    of them.

    Raises:
        UsageError: `clip` is none. DataError: fewer than two images, or one without captions.
    """
    if len(images) < 2:
        raise DataError(f"{len(images)} image to search among; retrieval needs two or more")
    if lonely := images.without_caption:
        raise DataError(
            f"{len(lonely)} of {len(images)} images have no caption, the first is number "
            f"{images.positions[lonely[0]]}; retrieval needs one for each"
        )
    captions = distinct_captions(images.captions)
    texts = clip.of_captions(captions.texts)
    ranking = image_text_retrieval(images.features, texts, captions.image, captions.text)
    return RetrievalResult(
        searched=len(images),
        captions=len(captions.texts),
        captions_cut=clip.num_truncated(captions.texts),
        rates=BothWays(
            rates_of(ranking.image_to_text), rates_of(ranking.text_to_image, captions.owner)
        ),
        captions_shared=int((captions.text.bincount() > 1).sum()),
        per_item=ranks_by_image(ranking, images.positions, captions.owner),
    )


def ranks_by_image(
    ranking: Retrieval, positions: Sequence[int], owners: Numbers
) -> dict[str, PerItem]:
    """positions: (n,) of the images in their split. owners: (m,) image of each caption."""
    names = [str(position) for position in positions]
    return {
        "image to text": values_by_item(names, {"rank": ranking.image_to_text.ranks}),
        "text to image": values_by_item(
            [names[owner] for owner in owners.tolist()], {"rank": ranking.text_to_image.ranks}
        ),
    }


def rates_of(ranking: Ranking, owners: Numbers | None = None) -> Rates:
    """owners: (q,) image of each query, which is what is resampled; None: one query each."""

    def rate(k: int) -> Rate:
        return Rate(estimate_mean(ranking.ranks <= k, owners), ranking.chance(k))

    median = MedianRank(estimate_median(ranking.ranks, owners), ranking.chance_median)
    return Rates(at_1=rate(1), at_5=rate(5), at_10=rate(10), median=median)


def print_rates(result: RetrievalResult, source: str) -> None:
    """For each direction a row per k, and one of its median rank. source: what was searched."""
    digits, chances = [], []
    for rates in result.rates.by_direction().values():
        digits += [".1%" for _ in rates.by_k()] + [".1f"]
        chances += [f"{rate.chance:.2%}" for rate in rates.by_k().values()]
        chances += [f"{rates.median.chance:.1f}"]
    title = f"Retrieval among {result.searched} images of {source}"
    print_estimates(title, result, quantity="value", digits=digits, column="chance", cells=chances)
    print_notes([*too_few("mean", result.searched), *note_on_shared(result)])


def note_on_shared(result: RetrievalResult) -> list[str]:
    if not result.captions_shared:
        return []
    return [
        f"{result.captions_shared} of {result.captions} captions are of several images each, any "
        "of which is right."
    ]
