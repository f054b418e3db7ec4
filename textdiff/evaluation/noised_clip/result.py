"""What `textdiff noised-clip` finds: shares of right answers by timestep, of two CLIPs on the same
x_t, and their paired difference noised - clean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from textdiff.evaluation.per_item import PerItem
from textdiff.evaluation.protocol import ClipProtocol, DataProtocol
from textdiff.evaluation.results import Key
from textdiff.metrics.bootstrap import Estimate


@dataclass(frozen=True)
class NoiseProtocol:
    """schedule: settings of the noised CLIP's."""

    schedule: dict[str, object]
    draws_per_image: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class NoisedClipProtocol:
    """template: of zero-shot texts."""

    metric: str = "zero-shot accuracy, classes are first captions; R@k, ties count against"
    noise: NoiseProtocol
    template: str
    data: DataProtocol
    noised: ClipProtocol
    clean: ClipProtocol


@dataclass(frozen=True)
class Means:
    """Over all timesteps measured."""

    clean: Estimate
    noised: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Comparison:
    """One metric at each timestep.

    ahead_at, behind_at: timesteps at which the interval of the difference lies above or below 0.
    """

    clean: list[Estimate]
    noised: list[Estimate]
    difference: list[Estimate]
    ahead_at: list[int]
    behind_at: list[int]
    means: Annotated[Means, Key("mean_over_timesteps")]


@dataclass(frozen=True)
class NoisedClipResult:
    """Both CLIPs by metric, such as "image to text R@5".

    searched, captions, classes: how many images, all their captions, and zero-shot classes.
    timesteps: (levels), ascending. alphas_cumprod: there.
    chance: by metric, in random order.
    per_item: by kind of query, "images" or "captions": the share of hits over all timesteps by
        metric and CLIP, by the position of the image in the split.
    """

    searched: int
    captions: int
    classes: int
    timesteps: list[int]
    alphas_cumprod: list[float]
    chance: dict[str, float]
    comparisons: Annotated[dict[str, Comparison], Key("results")]
    per_item: dict[str, PerItem] = field(default_factory=dict)

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        """Means over the timesteps."""
        for metric, comparison in self.comparisons.items():
            yield f"{metric}, clean", comparison.means.clean
            yield f"{metric}, noised", comparison.means.noised
            yield f"{metric}, noised - clean", comparison.means.difference
