"""Which combinations no training scene has, while each of their words is seen in training.

    pair     (kind, colour)              share h of all; each kind lacks floor or ceil of 11 h
                                         colours, each colour is lacked by equally many kinds
    triple   (kind, relation, kind)      those whose hash u < h; "a left of b" is "b right of a"

Both are functions of (seed, names): kinds added at the end change nothing for those before them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.facts import CONVERSE, Relation, Scene
from textdiff.errors import UsageError
from textdiff.randomness import Stream, seed_of

Pair = tuple[str, str]
Canonical = Literal["left of", "above"]
Triple = tuple[str, Canonical, str]
CANONICAL: tuple[Canonical, ...] = ("left of", "above")


@dataclass(frozen=True)
class Combinations:
    """pairs: every pair, kind by kind. unseen_pairs, unseen_triples: held out, in order."""

    kinds: tuple[str, ...]
    unseen_pairs: tuple[Pair, ...]
    unseen_triples: tuple[Triple, ...] = ()

    @cached_property
    def seen_pairs(self) -> tuple[Pair, ...]:
        unseen = set(self.unseen_pairs)
        every = ((kind, colour) for kind in self.kinds for colour in COLOURS)
        return tuple(pair for pair in every if pair not in unseen)

    @cached_property
    def seen_colours(self) -> dict[str, tuple[str, ...]]:
        """Of each kind."""
        colours: dict[str, tuple[str, ...]] = {}
        for kind, colour in self.seen_pairs:
            colours[kind] = (*colours.get(kind, ()), colour)
        return colours

    @cached_property
    def _unseen(self) -> frozenset[Pair | Triple]:
        return frozenset((*self.unseen_pairs, *self.unseen_triples))

    def unseen_in(self, scene: Scene) -> tuple[Pair | Triple, ...]:
        """The held-out combinations that a scene has; none of a training scene."""
        found: list[Pair | Triple] = [(group.kind, group.colour) for group in scene.groups]
        if triple := triple_of(scene):
            found.append(triple)
        return tuple(each for each in found if each in self._unseen)


def triple_of(scene: Scene) -> Triple | None:
    """Its kinds and relation in their canonical order; None of a scene without a relation."""
    if scene.relation is None:
        return None
    first, second = scene.groups
    return canonical(first.kind, scene.relation, second.kind)


def canonical(first: str, relation: Relation, second: str) -> Triple:
    if relation == "left of" or relation == "above":
        return first, relation, second
    converse = CONVERSE[relation]
    return second, "left of" if converse == "left of" else "above", first


def hold_out(kinds: Sequence[str], share: float, seed: int, relations: bool) -> Combinations:
    """Raises UsageError where a word would be left without a training scene."""
    pairs = _unseen_pairs(kinds, share, seed)
    triples = _unseen_triples(kinds, share, seed) if relations else ()
    combinations = Combinations(tuple(kinds), pairs, triples)
    _check(combinations, share, relations)
    return combinations


def _unseen_pairs(kinds: Sequence[str], share: float, seed: int) -> tuple[Pair, ...]:
    """Colours are dealt to the kinds round by round, each round in an order of its own."""
    names = list(COLOURS)
    dealt: list[str] = []
    pairs: list[Pair] = []
    for k, kind in enumerate(kinds):
        count = math.floor((k + 1) * len(names) * share) - math.floor(k * len(names) * share)
        taken: list[str] = []
        while len(taken) < count:
            fresh = [name for name in dealt if name not in taken]
            if not fresh:
                order = Stream(seed, "unseen pairs", k, len(taken)).permutation(len(names))
                dealt += [names[i] for i in order.tolist()]
                continue
            dealt.remove(fresh[0])
            taken.append(fresh[0])
        pairs += [(kind, colour) for colour in names if colour in taken]
    return tuple(pairs)


def _unseen_triples(kinds: Sequence[str], share: float, seed: int) -> tuple[Triple, ...]:
    return tuple(
        (first, relation, second)
        for first in kinds
        for relation in CANONICAL
        for second in kinds
        if seed_of(seed, "unseen triple", first, relation, second) < share * 2**63
    )


def _check(combinations: Combinations, share: float, relations: bool) -> None:
    kinds, seen = combinations.kinds, combinations.seen_pairs
    unseen = len(combinations.unseen_pairs)
    if not unseen:
        raise UsageError(
            f"data.held_out {share:g} of {len(seen)} (object, colour) pairs is less than one; "
            f"give {1 / len(seen):.2g} or more"
        )
    words = {word for pair in seen for word in pair}
    lacking = [word for word in (*kinds, *COLOURS) if word not in words]
    what = f"{unseen} of {len(kinds) * len(COLOURS)} pairs"
    if relations and not lacking:
        triples = set(combinations.unseen_triples)
        total = len(CANONICAL) * len(kinds) ** 2
        if not triples:
            raise UsageError(
                f"data.held_out {share:g} holds out none of {total} (object, relation, object) "
                "triples; raise it or use more objects"
            )
        lacking = [
            kind
            for kind in kinds
            if all(
                (kind, relation, other) in triples and (other, relation, kind) in triples
                for relation in CANONICAL
                for other in kinds
            )
        ]
        what = f"{len(triples)} of {total} relations"
    if lacking:
        raise UsageError(
            f"data.held_out {share:g} with {len(kinds)} objects keeps {what} from training, which "
            f"leaves '{lacking[0]}' without a scene there; lower data.held_out or use more objects"
        )
