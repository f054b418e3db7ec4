"""Numbers of `textdiff composition` and what they depend on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from textdiff.evaluation.per_item import PerItem
from textdiff.evaluation.protocol import ClipProtocol, DataProtocol, ModelProtocol
from textdiff.evaluation.results import INLINE, OMIT_NONE, Key
from textdiff.metrics.bootstrap import Estimate

SEEN, UNSEEN = "val", "test"
NAMES = {"train": "trained", SEEN: "seen", UNSEEN: "unseen"}


@dataclass(frozen=True, kw_only=True)
class ReaderProtocol:
    """How pictures are read, see `metrics.composition.reader`.

    kinds, colours, sizes, backgrounds: what is looked for. image_size: of the pictures.
    """

    metric: str = "squared error of sRGB against each thing at every place, blurred by sigma"
    kinds: list[str]
    colours: list[str]
    sizes: list[float]
    backgrounds: list[str]
    image_size: int
    sigma: float
    min_share: float
    max_error: float


@dataclass(frozen=True, kw_only=True)
class CompositionProtocol:
    """model, sampling, num_images: None where pictures were given, not drawn."""

    metric: str = "composition, read by analysis through synthesis"
    prompt_seed: int
    num_images: int | None
    model: ModelProtocol | None
    judges: list[ClipProtocol]
    data: dict[str, DataProtocol]
    reader: ReaderProtocol
    sampling: dict[str, object] | None


@dataclass(frozen=True)
class Aspect:
    """Share of pictures that show one aspect of their prompt.

    pictures: of how many. chance: share that pictures of the other prompts would reach.
    """

    rate: Annotated[Estimate, INLINE]
    pictures: int
    chance: float


@dataclass(frozen=True)
class DrawnAndReal:
    """Of drawn pictures, and of real ones of the same prompts."""

    drawn: Aspect
    real: Aspect


@dataclass(frozen=True)
class SplitResult:
    """Of one split.

    prompts, pictures: how many were drawn. nothing: share of them in which nothing was read.
    aspects: by name. recall_at_1: by judge, among the prompts; empty without judges.
    """

    prompts: int
    pictures: int
    nothing: float
    aspects: dict[str, DrawnAndReal]
    recall_at_1: Annotated[dict[str, DrawnAndReal], Key("R@1")]


@dataclass(frozen=True)
class CompositionResult:
    """splits: by name. seen_minus_unseen: of drawn pictures by aspect; None unless both are
    there. per_item: by split, whether each drawn picture shows each aspect, by its prompt."""

    splits: dict[str, SplitResult]
    seen_minus_unseen: Annotated[dict[str, Estimate] | None, OMIT_NONE] = None
    per_item: dict[str, PerItem] = field(default_factory=dict)

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        for split, result in self.splits.items():
            for name, each in rows_of(result).items():
                yield f"{NAMES[split]} {name}", each.drawn.rate


def rows_of(result: SplitResult) -> dict[str, DrawnAndReal]:
    """By aspect, then by judge."""
    followed = {f"R@1 {judge}": each for judge, each in result.recall_at_1.items()}
    return {**result.aspects, **followed}
