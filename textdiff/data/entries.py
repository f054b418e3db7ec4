"""What a source of captioned images offers: its entries, and the pixels of each.

Source.entries -> captions, names, groups: known without decoding
Source.read(i) -> pixels of entry i
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from textdiff.data.scenes.facts import Scene
from textdiff.data.scenes.splits import Combinations
from textdiff.randomness import seed_of

Split = Literal["train", "val", "test"]
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of an image before it is decoded.

    identifier: unique within the source, the same on every machine.
    captions: one or more; where they are needed, an image whose only caption is empty is unusable.
    group: entries of one group, such as variants of one emoji, always share a split.
    split: where the data fix it.
    facts: what is in the picture, where the data know it.
    label: the class that it shows, where `label_column` was asked for.
    """

    identifier: str
    captions: tuple[str, ...]
    group: str
    split: Split | None = None
    facts: Scene | None = None
    label: str | None = None


@runtime_checkable
class Source(Protocol):
    """Where images come from. Each loader worker gets a pickled copy, so pixels stay outside.

    attribution: credit to keep beside what is made of the images; None: none is asked for.
    """

    entries: list[Entry]
    attribution: str | None

    def read(self, index: int) -> Tensor:
        """(3, S, S) uint8 of entry `index`. Raises BadImage."""
        ...

    def original_size(self, index: int) -> tuple[int, int]:
        """(width, height) before resizing. Raises BadImage."""
        ...


@runtime_checkable
class OnDisk(Protocol):
    """A `Source` whose pictures lie in files that somebody may change."""

    def files(self, indices: Sequence[int]) -> list[Path]:
        """That entries `indices` are read from, each once; those of hubs are none."""
        ...


@runtime_checkable
class Composed(Protocol):
    """A `Source` that composes its pictures, and so knows which combinations training shows."""

    combinations: Combinations


def choose(entries: list[Entry], max_images: int | None) -> list[Entry]:
    """At most `max_images` entries, those whose identifiers hash lowest, in their given order."""
    if max_images is None or max_images >= len(entries):
        return entries
    lowest = sorted(range(len(entries)), key=lambda i: seed_of("choose", entries[i].identifier))
    return [entries[i] for i in sorted(lowest[:max_images])]
