"""Pictures of one prompt brought together: they are no independent observations.

Metrics take groups of one size. Where prompts have unequal numbers, the size is chosen with which
most pictures can be kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from textdiff.evaluation.features.feature_set import FeatureSet


def group_by_prompt(pictures: FeatureSet) -> tuple[FeatureSet, int, list[str]]:
    """The pictures of one prompt in a row, how many there are of each, and sentences on what was
    left out; all as they are, and 1, where all are of one prompt or some have none."""
    rows: dict[str, list[int]] = {}
    for k, texts in enumerate(pictures.captions):
        if any(texts[:1]):
            rows.setdefault(texts[0], []).append(k)
    with_prompt = sum(map(len, rows.values()))
    if with_prompt < len(pictures):
        repeated = len(rows) < with_prompt
        return (
            pictures,
            1,
            [_note_on_lonely(len(pictures) - with_prompt, len(pictures))] if repeated else [],
        )
    if len(rows) in (1, len(pictures)):
        return pictures, 1, []
    size = largest_grouping(len(each) for each in rows.values())
    order = [k for each in rows.values() if len(each) >= size for k in each[:size]]
    notes = [] if len(order) == len(pictures) else [_note_on_unequal(rows, size, len(order))]
    return pictures.reordered(order), size, notes


def largest_grouping(counts: Iterable[int]) -> int:
    """The size of groups with which most pictures are kept, of two prompts or more; of several such
    sizes the smallest, which keeps most prompts."""
    counted = Counter(counts)
    kept = {size: sum(n for count, n in counted.items() if count >= size) for size in counted}
    kept[1] = counted.total()
    sizes = sorted(size for size, prompts in kept.items() if prompts > 1)
    return max(sizes, key=lambda size: size * kept[size])


def _note_on_unequal(rows: dict[str, list[int]], size: int, kept: int) -> str:
    counts, total = [len(each) for each in rows.values()], sum(map(len, rows.values()))
    prompts = sum(count >= size for count in counts)
    without = f" of {prompts:,} of {len(counts):,} prompts" if prompts < len(counts) else ""
    return (
        f"Prompts have {min(counts)} to {max(counts)} pictures; used are the first {size} of each, "
        f"which are {kept:,} of {total:,} pictures{without}; draw as many of each to use all."
    )


def _note_on_lonely(lonely: int, total: int) -> str:
    return (
        f"{lonely:,} of {total:,} pictures have no prompt, so that those of one prompt count as "
        "independent: intervals are too narrow, and KID is too large; give each its prompt."
    )
