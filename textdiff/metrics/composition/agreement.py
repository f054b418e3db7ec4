"""What was read in a picture against the scene that was asked for.

object     the kinds read are those asked for, no fewer and no more
colour     the colours are
both       the pairs of kind and colour are: each thing has its own colour
count      as many things as asked for, whatever they are
relation   the first group lies on the right side of the second: where both are read
background its colour
all        every group with its count, the relation and the background
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from textdiff.data.scenes.facts import Relation, Scene, Thing
from textdiff.metrics.composition.reader import Reading

ASPECTS = ("object", "colour", "both", "count", "relation", "background", "all")


@dataclass(frozen=True)
class Agreement:
    """Which facts of a scene a picture shows. relation: None where none was asked for, or a group
    is missing."""

    object: bool
    colour: bool
    both: bool
    count: bool
    relation: bool | None
    background: bool
    all: bool


def agreement(read: Reading | Scene, asked: Scene) -> Agreement:
    """Of a reading, or of another scene as if it were drawn without a fault."""
    wanted = Counter((thing.kind, thing.colour) for thing in asked.things)
    there = Counter((thing.kind, thing.colour) for thing in read.things)
    relation = relation_holds(read.things, asked)
    background = read.background == asked.background
    return Agreement(
        object={kind for kind, _ in there} == {kind for kind, _ in wanted},
        colour={colour for _, colour in there} == {colour for _, colour in wanted},
        both=there.keys() == wanted.keys(),
        count=there.total() == wanted.total(),
        relation=relation,
        background=background,
        all=there == wanted and background and (asked.relation is None or relation is True),
    )


def relation_holds(things: Sequence[Thing], asked: Scene) -> bool | None:
    """Whether the groups of `asked` lie as it says; None where it says nothing, or things of one of
    them are missing. Things belong to a group by their kind, and by colour where both are of one
    kind."""
    if asked.relation is None:
        return None
    first, second = asked.groups
    by_kind = first.kind != second.kind
    parts = [
        [t for t in things if t.kind == group.kind and (by_kind or t.colour == group.colour)]
        for group in (first, second)
    ]
    if not all(parts):
        return None
    return relation_between(*parts) == asked.relation


def relation_between(first: Sequence[Thing], second: Sequence[Thing]) -> Relation:
    """Where the middle of the first things lies from that of the second, along the axis on which
    they are further apart."""
    right, down = (
        sum(getattr(t, axis) for t in first) / len(first)
        - sum(getattr(t, axis) for t in second) / len(second)
        for axis in ("x", "y")
    )
    if abs(right) >= abs(down):
        return "left of" if right < 0 else "right of"
    return "above" if down < 0 else "below"
