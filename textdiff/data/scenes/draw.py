"""Scene i of a seed: a function of (seed, split, i), whoever asks and in whatever order.

train    pairs in turn, each once before any comes again; the rest drawn at random; with
         `converse`, an odd scene is the one before with its things exchanged
val      the same, at places where no training scene stands: a hash of its facts decides
         whether a scene belongs to train or val
test     held-out pairs in turn; where there are relations, every other scene has a held-out
         triple instead. A test scene has one combination that training never shows.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from textdiff.data.config import Level, Placing
from textdiff.data.entries import Split
from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.facts import CONVERSE, RELATIONS, Relation, Scene, Thing
from textdiff.data.scenes.layout import arrangements, sizes_of
from textdiff.data.scenes.splits import Combinations, Pair, Triple
from textdiff.randomness import Stream, seed_of

T = TypeVar("T")

# How many things the groups of a scene have.
COUNTS: dict[Level, tuple[tuple[int, ...], ...]] = {
    "pairs": ((1,),),
    "counts": ((1,), (2,), (3,)),
    "relations": ((1, 1),),
    "scenes": ((1,), (2,), (3,), (1, 1), (1, 2), (2, 1)),
}
WITH_BACKGROUND: tuple[Level, ...] = ("scenes",)
RELATED: tuple[Level, ...] = ("relations", "scenes")
VAL_SHARE = 8  # one in so many places of a pair is val's
TRIES = 64  # before a pair without any place left in a split gives way to the next
WORDS = 64  # 64-bit words a draw may use


@dataclass(frozen=True)
class Drawer:
    """Draws the scenes of a level."""

    level: Level
    seed: int
    combinations: Combinations
    placing: Placing = "free"
    converse: bool = False

    def scene(self, split: Split, index: int) -> Scene:
        """The scene of that place in a split, index >= 0."""
        if self.converse and split == "train":
            turn, odd = divmod(index, 2)
            exchanged = self._exchanged(self._scene("train", turn), turn) if odd else None
            return exchanged or self._scene("train", turn)
        return self._scene(split, index)

    def _exchanged(self, scene: Scene, turn: int) -> Scene | None:
        """The same things, each where the other may stand; None where training must not show them
        so, or there is one group alone."""
        if scene.relation is None:
            return None
        counts = tuple(group.count for group in scene.groups)
        pairs = tuple((group.kind, group.colour) for group in scene.groups)
        for attempt in range(TRIES):
            draws = _Draws(self.seed, "exchanged", turn, attempt)
            other = self._placed(draws, counts, pairs, CONVERSE[scene.relation])
            if self.combinations.unseen_in(other):
                return None
            if _side(self.seed, other) == "train":
                return other
        return None

    def _scene(self, split: Split, index: int) -> Scene:
        for attempt in range(10**4):
            draws = _Draws(self.seed, "scene", split, index, attempt)
            scene = self._draw(draws, split, index + attempt // TRIES)
            if scene is not None and split in ("test", _side(self.seed, scene)):
                return scene
        raise RuntimeError(f"no scene {index} of split {split} in 10,000 attempts")

    def _draw(self, draws: _Draws, split: Split, index: int) -> Scene | None:
        """None of a draw with more combinations held out than its split has."""
        combinations = self.combinations
        counts, relation = draws.one_of(COUNTS[self.level]), draws.one_of(RELATIONS)
        if split != "test":
            pair = self._in_turn(combinations.seen_pairs, split, index)
            pairs = self._with_seen(draws, pair, len(counts))
        elif combinations.unseen_triples and index % 2:
            counts = draws.one_of([each for each in COUNTS[self.level] if len(each) == 2])
            triple = self._in_turn(combinations.unseen_triples, "triples", index // 2)
            pairs, relation = self._of_triple(draws, triple)
        else:
            turn = index // 2 if combinations.unseen_triples else index
            pair = self._in_turn(combinations.unseen_pairs, "pairs", turn)
            pairs = self._with_seen(draws, pair, len(counts))
        if len(set(pairs)) < len(pairs):  # two groups that are one
            return None
        scene = self._placed(draws, counts, pairs, relation if len(pairs) > 1 else None)
        return scene if len(combinations.unseen_in(scene)) == (split == "test") else None

    def _in_turn(self, items: Sequence[T], what: str, index: int) -> T:
        """The item whose turn it is: each once, in random order, then each once again."""
        turn, place = divmod(index, len(items))
        return items[_order(self.seed, what, turn, len(items))[place]]

    def _with_seen(self, draws: _Draws, pair: Pair, groups: int) -> tuple[Pair, ...]:
        """`pair`, and a seen one before or after it where there are two groups."""
        if groups == 1:
            return (pair,)
        both = (pair, draws.one_of(self.combinations.seen_pairs))
        return both if draws.below(2) else both[::-1]

    def _of_triple(self, draws: _Draws, triple: Triple) -> tuple[tuple[Pair, ...], Relation]:
        """In seen colours, said from either side."""
        first, relation, second = triple
        colours = self.combinations.seen_colours
        pairs = (first, draws.one_of(colours[first])), (second, draws.one_of(colours[second]))
        return (pairs, relation) if draws.below(2) else (pairs[::-1], CONVERSE[relation])

    def _placed(
        self,
        draws: _Draws,
        counts: tuple[int, ...],
        pairs: tuple[Pair, ...],
        relation: Relation | None,
    ) -> Scene:
        sizes = tuple(draws.one_of(sizes_of(sum(counts), self.placing)) for _ in counts)
        centres = draws.one_of(arrangements(counts, sizes, relation))
        owners = [group for group, count in enumerate(counts) for _ in range(count)]
        things = tuple(
            Thing(*pairs[group], sizes[group], x, y)
            for group, (x, y) in zip(owners, centres, strict=True)
        )
        background = "white"
        if self.level in WITH_BACKGROUND:
            taken = {colour for _, colour in pairs}
            background = draws.one_of([name for name in COLOURS if name not in taken])
        return Scene(things, background, relation)


class _Draws:
    """Whole numbers of a stream, one after the other."""

    def __init__(self, *parts: int | str) -> None:
        self._words: Iterator[int] = iter(Stream(*parts).words(WORDS).tolist())

    def below(self, limit: int) -> int:
        return next(self._words) % limit

    def one_of(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]


@functools.lru_cache(maxsize=64)
def _order(seed: int, what: str, turn: int, count: int) -> NDArray[np.int64]:
    order: NDArray[np.int64] = Stream(seed, "turn", what, turn).permutation(count).numpy()
    return order


def _side(seed: int, scene: Scene) -> Split:
    """Whose a scene of seen combinations is."""
    facts = json.dumps(scene.to_json())
    return "train" if seed_of(seed, "side", facts) % VAL_SHARE else "val"
