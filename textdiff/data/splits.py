"""Which split each entry belongs to: the one that the data state, else by a hash of its group."""

from __future__ import annotations

from collections.abc import Sequence

from textdiff.data.entries import Entry, Split
from textdiff.randomness import seed_of

HELD_OUT: tuple[Split, Split] = ("val", "test")


def held_out_notes(
    entries: Sequence[Entry], splits: Sequence[Split], val_fraction: float, test_fraction: float
) -> list[str]:
    """Where a small set cannot give the share that was asked for: what was held out instead."""
    stated = {entry.split for entry in entries}
    notes = []
    for split, fraction in zip(HELD_OUT, (val_fraction, test_fraction), strict=True):
        count = splits.count(split)
        if split in stated or fraction == 0 or (count and fraction * len(entries) >= 1):
            continue
        notes.append(
            f"{count or 'none'} of {len(entries)} images held out as {split}: {split}_fraction = "
            f"{fraction:g} would be {fraction * len(entries):.2g} images"
            + (", and one is held out at least" if count else "; there are too few to hold one out")
        )
    return notes


def assign_splits(
    entries: Sequence[Entry], val_fraction: float, test_fraction: float
) -> list[Split]:
    """The split of each entry: its own if it has one, else by the hash u in [0, 1) of its group.

        u < val_fraction                    val
        u < val_fraction + test_fraction    test
        else                                train

    So an image keeps its split when others are added. Where a small set would leave a split empty,
    that split gets the remaining group of the lowest u. A split that the data state themselves gets
    no further entries.
    """
    stated = {entry.split for entry in entries}
    unassigned = {entry.group for entry in entries if entry.split in (None, "train")}
    remaining = sorted((seed_of("split", group) / 2**63, group) for group in unassigned)
    held_out: dict[str, Split] = {}
    below = 0.0
    for split, fraction in zip(HELD_OUT, (val_fraction, test_fraction), strict=True):
        if split in stated or fraction == 0:
            continue
        below += fraction
        groups = [group for u, group in remaining if u < below]
        if not groups and len(remaining) > 1:
            groups = [remaining[0][1]]
        held_out.update(dict.fromkeys(groups, split))
        remaining = remaining[len(groups) :]
    return [
        entry.split if entry.split in HELD_OUT else held_out.get(entry.group, "train")
        for entry in entries
    ]
