"""What `textdiff inversion` finds: errors of pictures that went to noise and back; and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from textdiff.evaluation.per_item import PerItem
from textdiff.evaluation.protocol import DataProtocol, ModelProtocol
from textdiff.evaluation.results import Key
from textdiff.metrics.bootstrap import Estimate
from textdiff.sampling.config import Spacing


@dataclass(frozen=True, kw_only=True)
class InversionProtocol:
    """picture_seed: which pictures. guidance_scale, threshold: both off."""

    metric: str = "DDIM inversion: RMSE of 255 and PSNR in dB per picture, by steps each way"
    picture_seed: int
    guidance_scale: float = 1.0
    threshold: str = "none"
    spacing: Spacing
    model: ModelProtocol
    data: DataProtocol


@dataclass(frozen=True)
class RoundTrip:
    """Means over pictures, for one number of steps.

    rmse: in grey levels of 0..255. psnr: in dB. noise_std: standard deviation of the noise.
    """

    rmse: Estimate
    psnr: Estimate
    noise_std: float


@dataclass(frozen=True)
class InversionResult:
    """pictures: how many. round_trips: by the number of steps each way. per_item: by the same,
    "rmse" and "psnr" of each picture, by its prompt."""

    pictures: int
    round_trips: Annotated[dict[str, RoundTrip], Key("results")]
    per_item: dict[str, PerItem] = field(default_factory=dict)

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        for steps, trip in self.round_trips.items():
            yield f"{steps} steps, RMSE", trip.rmse
            yield f"{steps} steps, PSNR", trip.psnr
