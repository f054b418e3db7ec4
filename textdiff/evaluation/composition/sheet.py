"""Pictures that show all of their prompt, and pictures that don't, with what was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from textdiff.data import labelled_grid, stacked, to_pil
from textdiff.data.scenes.facts import Thing
from textdiff.evaluation.composition.measure import Read
from textdiff.evaluation.composition.result import NAMES
from textdiff.files import replacing

COLUMNS = 8


def save_sheet(path: str | Path, drawn: Mapping[str, Read], count: int) -> None:
    """Up to `count` right and as many wrong pictures of each split; says where."""
    parts = []
    for split, read in drawn.items():
        for right in (True, False):
            rows = [k for k, each in enumerate(read.agreements) if each.all is right]
            chosen = spread(rows, count)
            if chosen:
                labels = [
                    f"{read.asked.prompts[int(read.asked.prompt[k])]}: "
                    + ("right" if right else described(read.readings[k].things))
                    for k in chosen
                ]
                title = f"{NAMES[split]}, {'right' if right else 'wrong'}: {len(rows)} of "
                title += str(len(read.readings))
                images = to_pil(read.asked.images[chosen])
                parts.append(labelled_grid(images, labels, COLUMNS, title))
    with replacing(path) as temporary:
        stacked(parts).save(temporary)
    print(f"pictures: {path}")


def spread(rows: Sequence[int], count: int) -> list[int]:
    """At most `count` of `rows`, evenly far apart: pictures of one prompt lie beside each other."""
    step = max(1, len(rows) / count)
    return [rows[int(k * step)] for k in range(min(count, len(rows)))]


def described(things: Sequence[Thing]) -> str:
    """What was read, such as "red apple, 2 x blue pig"; "nothing"."""
    counts = Counter(f"{thing.colour} {thing.kind}" for thing in things)
    return ", ".join(n if k == 1 else f"{k} x {n}" for n, k in counts.items()) or "nothing"
