"""What `textdiff likelihood` finds: the parts of the bound, by kind of captions; and of what.

total = prior L_T + rest (sum of L_t, t >= 1) + L_0        bits/dim, means over images
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from textdiff.diffusion.config import VarianceType
from textdiff.evaluation.likelihood.settings import CaptionKind
from textdiff.evaluation.protocol import DataProtocol, ModelProtocol
from textdiff.evaluation.results import INLINE, Key
from textdiff.metrics.bootstrap import Estimate, estimate_mean
from textdiff.metrics.likelihood import Bound
from textdiff.sampling.config import Spacing


@dataclass(frozen=True, kw_only=True)
class LikelihoodProtocol:
    """image_seed: which images. spacing: of a chain of fewer steps than the model's, else None.
    seed: of the noise. dtype: of the computation."""

    metric: str = "variational bound on -log p(picture | caption), bits/dim"
    model: ModelProtocol
    data: DataProtocol
    image_seed: int
    process: str
    spacing: Spacing | None
    seed: int
    dtype: str


@dataclass(frozen=True)
class Range:
    """The sum of L_t over the steps between two of the network's timesteps, both included."""

    first: Annotated[int, Key("from")]
    last: Annotated[int, Key("to")]
    bits: Annotated[Estimate, INLINE]


@dataclass(frozen=True)
class Terms:
    """L_t in each of K strata of steps, least noisy first; the first is L_0.

    first, last: the network's timesteps at the ends of a stratum. timesteps: steps in it.
    mean, low, high: over images, with the ends of the interval.
    """

    first: Annotated[list[int], Key("from")]
    last: Annotated[list[int], Key("to")]
    timesteps: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class BoundSummary:
    """The bound of one kind of captions. quarters: of the steps but the first, which is L_0."""

    total: Estimate
    prior: Estimate
    L_0: Estimate
    rest: Estimate
    quarters: list[Range]
    terms: Terms


@dataclass(frozen=True)
class LikelihoodResult:
    """Bounds of the same images, on the same noise, given different captions.

    captions_cut: how many first captions the text tower sees cut.
    variance, clip_denoised: as measured; None where the process has none.
    num_timesteps, num_steps: of the model's schedule, and of the chain whose bound it is.
    differences: by "kind - first kind", how many bits/dim more than the first kind.
    per_picture: the "identifiers" of the images, and for each kind of captions their bounds.
    """

    pictures: int
    captions_cut: int
    variance: VarianceType | None
    num_timesteps: Annotated[int, Key("timesteps")]
    num_steps: int
    timesteps_per_picture: int
    clip_denoised: bool | None
    bounds: Annotated[dict[CaptionKind, BoundSummary], Key("results")]
    differences: dict[str, Estimate]
    per_picture: dict[str, list[str] | list[float]]

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        """bits/dim of each kind of captions, then the differences."""
        for kind, bound in self.bounds.items():
            yield f"{kind}, total", bound.total
            yield f"{kind}, prior", bound.prior
            yield f"{kind}, rest", bound.rest
            yield f"{kind}, L_0", bound.L_0
        yield from self.differences.items()


def summarise(bound: Bound, timesteps: Tensor) -> BoundSummary:
    """Means over images of a bound's parts. timesteps: (T,) of the network at the chain's steps."""
    T = len(timesteps)
    quarters = [(max(1, T * q // 4), T * (q + 1) // 4) for q in range(4)]
    terms = bound.term_means()
    return BoundSummary(
        total=estimate_mean(bound.total),
        prior=estimate_mean(bound.prior),
        L_0=estimate_mean(bound.between(0, 1)),
        rest=estimate_mean(bound.between(1, T)),
        quarters=[
            Range(
                first=int(timesteps[start]),
                last=int(timesteps[end - 1]),
                bits=estimate_mean(bound.between(start, end)),
            )
            for start, end in quarters
            if start < end
        ],
        terms=Terms(
            first=timesteps[bound.edges[:-1]].tolist(),
            last=timesteps[bound.edges[1:] - 1].tolist(),
            timesteps=bound.edges.diff().tolist(),
            mean=[term.value for term in terms],
            low=[term.low for term in terms],
            high=[term.high for term in terms],
        ),
    )


def compare(bounds: Mapping[CaptionKind, Bound]) -> dict[str, Estimate]:
    """How many bits/dim more each other kind of captions costs than the first, image by image."""
    (first, baseline), *others = bounds.items()
    return {
        f"{kind} - {first}": estimate_mean(bound.total - baseline.total) for kind, bound in others
    }
