"""What `textdiff distribution` finds, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Annotated

from textdiff.evaluation.features.extractor import ExtractorProtocol
from textdiff.evaluation.per_item import PerItem
from textdiff.evaluation.protocol import DataProtocol, ModelProtocol, SourceProtocol
from textdiff.evaluation.results import INLINE, OMIT_NONE
from textdiff.metrics.bootstrap import Estimate

Measured = Annotated[Estimate | None, OMIT_NONE]


@dataclass(frozen=True, kw_only=True)
class DistributionProtocol:
    """model, sampling: None where pictures were given, not drawn. pictures: None where they were
    drawn. training, held_out: of the copies; None where none were looked for.

    unit_length: whether features were scaled to length 1 first, and for KID to sqrt(D).
    per_prompt: pictures of a prompt, which are resampled together.
    compare_size: that pictures of another size were made to have; None: they stayed as they were.
    """

    metric: str = (
        "Frechet distance, covariance n - 1; KID, unbiased, one block; CMMD, biased, x 1000; "
        "precision, recall, density, coverage by nearest neighbours"
    )
    neighbours: int
    unit_length: bool
    per_prompt: int
    features: ExtractorProtocol
    model: ModelProtocol | None
    pictures: SourceProtocol | None
    data: SourceProtocol
    training: DataProtocol | None
    held_out: DataProtocol | None
    prompt_seed: int
    sampling: dict[str, object] | None
    compare_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two sets of pictures; None: there are too few of them for the metric.

    pictures, real: how many in each.
    """

    pictures: int
    real: int
    frechet: Measured = None
    kid: Measured = None
    cmmd: Measured = None
    precision: Measured = None
    recall: Measured = None
    density: Measured = None
    coverage: Measured = None

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        """Those that there are, by name."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Estimate):
                yield each.name, value


@dataclass(frozen=True)
class CopyingResult:
    """Whether drawn pictures lie nearer to training pictures than held-out real ones do.

    share: of those that are nearer than all but a share of `chance` of the held-out ones.
    threshold: the cosine from which on they are. drawn, held_out: mean cosine to the nearest.
    """

    share: Annotated[Estimate, INLINE]
    chance: float
    threshold: float
    drawn: Estimate
    held_out: Estimate


@dataclass(frozen=True)
class DistributionResult:
    """drawn: against the real pictures. real: one half of these against the other.

    diversity: among the pictures of a prompt; None: there is one of each.
    warnings: what the numbers of pictures do to the metrics, a sentence each.
    per_item: what the means are over: of "drawn pictures" and "prompts" by prompt, where each has
        one, and of "real pictures" by position.
    """

    drawn: Comparison
    real: Annotated[Comparison | None, OMIT_NONE]
    diversity: Measured
    copying: Annotated[CopyingResult | None, OMIT_NONE]
    warnings: list[str]
    per_item: dict[str, PerItem] = field(default_factory=dict)

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        yield from self.drawn.estimates()
        if self.diversity:
            yield "diversity", self.diversity
        if self.copying:
            yield "copied", self.copying.share
