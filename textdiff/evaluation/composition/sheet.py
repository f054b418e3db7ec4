"""Drawn pictures to look at: right and wrong ones with what was read, or one of each prompt."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from textdiff.data import labelled_grid, stacked, to_pil
from textdiff.evaluation.composition.measure import Read
from textdiff.evaluation.composition.result import NAMES
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.files import replacing
from textdiff.metrics.composition.reader import Reading

COLUMNS = 8
OVERVIEW_PROMPTS = 32
SIDE = 144  # pictures are scaled up to at least this, so that their labels have room


def save_sheet(path: str | Path, drawn: Mapping[str, Read], count: int) -> None:
    """Up to `count` right and as many wrong pictures of each split; says where."""
    parts = []
    for split, read in drawn.items():
        for right in (True, False):
            rows = [k for k, each in enumerate(read.agreements) if each.all is right]
            chosen = spread(rows, count)
            if not chosen:
                continue
            labels = [read.asked.prompts[int(read.asked.prompt[k])] for k in chosen]
            if not right:
                labels = [
                    f"{described(read.readings[k])} for: {label}"
                    for k, label in zip(chosen, labels, strict=True)
                ]
            word = "right" if right else "wrong"
            title = f"{NAMES[split]}, {word}: {len(rows)} of {len(read.readings)}"
            images = read.asked.images[chosen]
            factor = math.ceil(SIDE / images.shape[-1])
            images = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
            parts.append(labelled_grid(to_pil(images), labels, COLUMNS, title))
    with replacing(path) as temporary:
        stacked(parts).save(temporary)
    print(f"pictures: {path}")


def save_overview(path: str | Path, drawn: Mapping[str, Read], seeds: PromptedPictures) -> None:
    """The first picture of some prompts of each split, then one prompt's from several seeds; says
    where."""
    parts = []
    for split, read in drawn.items():
        first = {int(prompt): k for k, prompt in reversed(list(enumerate(read.asked.prompt)))}
        chosen = [first[prompt] for prompt in sorted(first)[:OVERVIEW_PROMPTS]]
        labels = [read.asked.prompts[int(read.asked.prompt[k])] for k in chosen]
        parts.append((f"{NAMES[split]} combinations", read.asked.images[chosen], labels))
    numbers = [f"picture {k}" for k in range(len(seeds))]
    parts.append((f'"{seeds.prompts[0]}" from several seeds', seeds.images, numbers))
    sheets = [
        labelled_grid(to_pil(images), labels, COLUMNS, title) for title, images, labels in parts
    ]
    with replacing(path) as temporary:
        stacked(sheets).save(temporary)
    print(f"pictures: {path}")


def spread(rows: Sequence[int], count: int) -> list[int]:
    """At most `count` of `rows`, evenly far apart: pictures of one prompt lie beside each other."""
    step = max(1, len(rows) / count)
    return [rows[int(k * step)] for k in range(min(count, len(rows)))]


def described(reading: Reading) -> str:
    """What was read, such as "red apple, 2 blue pig on green"."""
    counts = Counter(f"{thing.colour} {thing.kind}" for thing in reading.things)
    things = [name if count == 1 else f"{count} {name}" for name, count in counts.items()]
    ground = "" if reading.background in (None, "white") else f" on {reading.background}"
    return (", ".join(things) or "nothing") + ground
