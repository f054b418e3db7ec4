"""The table of `textdiff inversion`."""

from __future__ import annotations

from textdiff.evaluation.inversion.result import InversionResult
from textdiff.evaluation.tables import print_table
from textdiff.metrics.bootstrap import Estimate

COLUMNS = ["steps", "RMSE of 255 (95% interval)", "PSNR in dB (95% interval)", "std of the noise"]


def print_round_trips(result: InversionResult, source: str) -> None:
    """A row per number of steps. source: where the pictures are from."""
    rows = [
        [steps, with_interval(trip.rmse), with_interval(trip.psnr), f"{trip.noise_std:.2f}"]
        for steps, trip in result.round_trips.items()
    ]
    print_table(f"DDIM inversion of {result.pictures} pictures of {source}", COLUMNS, rows)


def with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"
