"""What `textdiff inversion` finds: errors of pictures that went to noise and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from textdiff.evaluation.results import Key
from textdiff.metrics.bootstrap import Estimate


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
    """pictures: how many. round_trips: by the number of steps each way."""

    pictures: int
    round_trips: Annotated[dict[str, RoundTrip], Key("results")]

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        for steps, trip in self.round_trips.items():
            yield f"{steps} steps, RMSE", trip.rmse
            yield f"{steps} steps, PSNR", trip.psnr
