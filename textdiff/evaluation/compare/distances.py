"""KID of the sets of pictures that two files have in common: settings of a sweep, or routes.

The distance has no values per prompt, but files of one protocol draw the same resamples of prompts
and of real pictures, and keep the distance of each: so differences are in pairs all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from textdiff.evaluation.compare.result import Row, verdict
from textdiff.evaluation.held_out.differences import difference
from textdiff.evaluation.held_out.scores import JudgedScores


def distances(a: Mapping[str, JudgedScores], b: Mapping[str, JudgedScores]) -> Iterator[Row]:
    """A row for each set of pictures that both files have, by name."""
    for name, one in a.items():
        if name not in b:
            continue
        other = b[name]
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
