"""metrics.jsonl of a run: the values of each name over the steps.

A run that was killed may leave half a line; lines that cannot be read are counted and passed over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from textdiff.evaluation.report.plot import Point


@dataclass(frozen=True)
class Log:
    """curves: (step, value) in order of the steps, by name. unreadable: lines passed over."""

    curves: Mapping[str, list[Point]]
    unreadable: int

    @property
    def last_step(self) -> int | None:
        """None of an empty one."""
        return max((int(points[-1][0]) for points in self.curves.values()), default=None)

    def last(self, name: str) -> float | None:
        points = self.curves.get(name)
        return points[-1][1] if points else None


def read_log(file: Path) -> Log | None:
    """None where there is no such file. Numbers that are not finite are left out: they are no
    points of a curve."""
    if not file.is_file():
        return None
    values: dict[str, dict[float, float]] = {}
    unreadable = 0
    for line in file.read_bytes().splitlines():
        if not line.strip():
            continue
        entry = _read(line)
        if entry is None:
            unreadable += 1
            continue
        for name, value in entry.items():
            if name != "step" and _is_number(value):
                values.setdefault(name, {})[entry["step"]] = float(value)
    curves = {name: sorted(by_step.items()) for name, by_step in values.items()}
    return Log(curves, unreadable)


def _read(line: bytes) -> dict[str, float] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(entry, dict) and _is_number(entry.get("step"))
    return entry if whole else None


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
