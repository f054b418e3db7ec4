"""Two files of one protocol, number by number.

values per item of A and of B ── matched by name ──► paired difference ──► verdict
numbers without values per item ──► both with their intervals, not paired
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textdiff.data.text import shown
from textdiff.errors import UsageError
from textdiff.evaluation.compare.distances import distances
from textdiff.evaluation.compare.document import Document, value_at
from textdiff.evaluation.compare.kinds import Quantity
from textdiff.evaluation.compare.pairs import Pairs, means_of, pair
from textdiff.evaluation.compare.protocols import Differing, settings_of
from textdiff.evaluation.compare.result import (
    UNPAIRED,
    CompareProtocol,
    CompareResult,
    FileProtocol,
    Row,
    verdict,
)
from textdiff.evaluation.per_item import PerItem
from textdiff.evaluation.results import from_json
from textdiff.metrics.bootstrap import Estimate
from textdiff.metrics.sample_size import FOR_INTERVALS


def compare(a: Document, b: Document, compared: Sequence[Differing]) -> CompareResult:
    """compared: in what they differ.

    Raises:
        UsageError: there is no number that both have, or no item.
    """
    paired = [*paired_rows(a, b)]
    rows = [row for row, _ in paired]
    rows += distances(a.kind.scores(a.content), b.kind.scores(b.content))
    rows += unpaired_rows(a, b, {row.name for row in rows})
    if not rows:
        raise UsageError(why_nothing(a, b))
    left_out = max((count for _, count in paired), default=0)
    return CompareResult(rows, [*notes(a, b, rows, compared), *note_on_left_out(left_out)])


def compare_protocol(a: Document, b: Document, compared: Sequence[Differing]) -> CompareProtocol:
    other = settings_of(b)
    return CompareProtocol(
        evaluation=a.kind.command,
        a=FileProtocol(a.path, a.sha256),
        b=FileProtocol(b.path, b.sha256),
        common={k: v for k, v in settings_of(a).items() if k in other and other[k] == v},
        compared=list(compared),
    )


def paired_rows(a: Document, b: Document) -> Iterator[tuple[Row, int]]:
    """With how many items each leaves out."""
    for group, one in a.items.items():
        other = b.items.get(group, PerItem([], {}))
        for value in one.values:
            if value not in other.values:
                continue
            for quantity in a.kind.quantities_of(value):
                pairs = pair(one, other, value, quantity.strata)
                if pairs is not None:
                    name = a.kind.row.format(group=group, name=quantity.name)
                    yield row_of(name, pairs, quantity), pairs.left_out


def row_of(name: str, pairs: Pairs, quantity: Quantity) -> Row:
    means, count = means_of(pairs, quantity), len(pairs.items)
    return Row(
        name=name,
        a=means.a,
        b=means.b,
        verdict=verdict(means.difference, count),
        difference=means.difference,
        items=count,
    )


def unpaired_rows(a: Document, b: Document, paired: set[str]) -> Iterator[Row]:
    """Numbers of both files that are not among those of these names."""
    for name, path in a.kind.unpaired.items():
        one, other = value_at(a.content, path), value_at(b.content, path)
        if name not in paired and one is not None and other is not None:
            yield Row(
                name, estimate_at(a, path, one), estimate_at(b, path, other), verdict=UNPAIRED
            )


def estimate_at(document: Document, path: str, content: object) -> Estimate:
    try:
        return from_json(Estimate, content, path)
    except ValueError as error:
        raise UsageError(f"{document.path} is damaged: {error}") from None


def why_nothing(a: Document, b: Document) -> str:
    """Why there is no row."""
    command = f"'textdiff {a.kind.command} --json'"
    for each in (a, b):
        if not any(one.values for one in each.items.values()):
            return (
                f"{each.path} has no values per item: it is of an older version of textdiff, or "
                f"nothing was judged; write it again with {command}"
            )
    names = [next(iter(each.items)) for each in (a, b)]
    firsts = [each.items[name].items for each, name in zip((a, b), names, strict=True)]
    return (
        f"{a.path} and {b.path} have no item in common: one has '{first_of(names[0], firsts[0])}', "
        f"the other '{first_of(names[1], firsts[1])}'; write both with {command} on the same items"
    )


def first_of(group: str, items: Sequence[str]) -> str:
    return shown(f"{group}: {items[0]}" if items else group, 60)


def notes(
    a: Document, b: Document, rows: Sequence[Row], compared: Sequence[Differing]
) -> Iterator[str]:
    """What to know of the rows."""
    if a.sha256 == b.sha256:
        yield "Both files are the same, to the byte."
    elif not compared:
        yield "Model and settings are the same in both files."
    packages = {**a.versions, **b.versions}
    if other := [name for name in packages if a.versions.get(name) != b.versions.get(name)]:
        pairs = (f"{n} {a.versions.get(n, 'none')} and {b.versions.get(n, 'none')}" for n in other)
        yield f"Versions differ: {', '.join(pairs)}."
    if lonely := sorted(set(names_of(a)) ^ set(names_of(b))):
        yield f"In one file alone: {', '.join(lonely)}."
    fewest = min((row.items for row in rows if row.items is not None), default=FOR_INTERVALS)
    if fewest < FOR_INTERVALS:
        yield f"Intervals over {fewest} pairs are too narrow; {FOR_INTERVALS} are enough."
    if any(row.difference is None for row in rows):
        yield (
            "Not paired: there are no values of single items; that two intervals overlap says "
            "little."
        )
    if sum(row.difference is not None for row in rows) > 1:
        yield "Each interval is its own: of 20 rows without a difference, about one shows one."


def note_on_left_out(count: int) -> list[str]:
    return [f"Items of one file alone, left out: {count}."] if count else []


def names_of(document: Document) -> Iterator[str]:
    """Of all values per item."""
    for group, each in document.items.items():
        for value in each.values:
            yield f"{group} {value}"
