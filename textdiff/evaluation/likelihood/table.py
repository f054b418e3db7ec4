"""The parts of a bound with their intervals, and the tables of `textdiff likelihood`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textdiff.evaluation import report
from textdiff.evaluation.report import interval

if TYPE_CHECKING:
    from torch import Tensor

    from textdiff.commands.likelihood import Captions
    from textdiff.metrics import Bound


def summary(bound: Bound, told: Tensor) -> dict[str, Any]:
    """Parts of the bound with their intervals. told: (T,) the network's timesteps, which "from"
    and "to" name."""
    T = len(told)
    quarters = [(max(1, T * q // 4), T * (q + 1) // 4) for q in range(4)]
    mean, low, high = bound.intervals().tolist()
    return {
        "total": interval(bound.total),
        "prior": interval(bound.prior),
        "L_0": interval(bound.between(0, 1)),
        "rest": interval(bound.between(1, T)),
        "quarters": [
            {
                "from": int(told[first]),
                "to": int(told[end - 1]),
                **interval(bound.between(first, end)),
            }
            for first, end in quarters
            if first < end
        ],
        "terms": {
            "from": told[bound.edges[:-1]].tolist(),
            "to": told[bound.edges[1:] - 1].tolist(),
            "timesteps": bound.edges.diff().tolist(),
            "mean": mean,
            "low": low,
            "high": high,
        },
    }


def compare(bounds: dict[Captions, Bound]) -> dict[str, dict[str, float]]:
    """How many bits/dim more the other kinds of captions cost than the first kind."""
    (first, baseline), *others = bounds.items()
    return {f"{kind} - {first}": interval(bound.total - baseline.total) for kind, bound in others}


def show(results: dict[str, Any], differences: dict[str, Any]) -> None:
    """A table per kind of captions, and one of their differences."""

    def row(name: str, value: dict[str, float]) -> list[str]:
        return [name, f"{value['mean']:.4f}", f"{value['low']:.4f} to {value['high']:.4f}"]

    columns = ["", "bits/dim", "95% interval"]
    for kind, found in results.items():
        rows = [row("prior L_T", found["prior"])]
        for quarter in reversed(found["quarters"]):
            rows.append(row(f"t = {quarter['from']}..{quarter['to']}", quarter))
        rows.append(row("sum over t >= 1", found["rest"]))
        rows.append(row("L_0", found["L_0"]))
        rows.append(row("total", found["total"]))
        report.show(f"Bits/dim, captions: {kind}", columns, rows)
    if differences:
        rows = [row(name, value) for name, value in differences.items()]
        report.show("Differences", columns, rows)
