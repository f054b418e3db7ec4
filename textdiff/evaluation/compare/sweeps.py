"""KID of the settings that two sweeps of guidance have in common.

The distance has no values per prompt, but sweeps of one protocol draw the same resamples of prompts
and of real pictures, and keep the distance of each: so differences are in pairs all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from textdiff.evaluation.compare.result import Row, verdict
from textdiff.evaluation.guidance.sweep import Sweep
from textdiff.evaluation.held_out.differences import difference
from textdiff.evaluation.results import from_json


def distances(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Row]:
    """A row for each setting that both files have. Raises ValueError: no sweep."""
    others = {each.known_name: each.scores for each in from_json(Sweep, b).settings}
    for setting in from_json(Sweep, a).settings:
        name = setting.known_name
        if name not in others:
            continue
        one, other = setting.scores, others[name]
        found = difference(other, one).kid
        prompts = len(one.samples.at_1)
        yield Row(
            name=f"{name}: held out KID",
            a=one.held_out.kid,
            b=other.held_out.kid,
            verdict=verdict(found, prompts),
            difference=found,
            items=prompts,
        )
