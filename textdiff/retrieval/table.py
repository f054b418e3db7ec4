"""What `textdiff index` prints: what was added, what was found, and a sheet of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textdiff.data import labelled_grid
from textdiff.evaluation.tables import print_table
from textdiff.files import replacing
from textdiff.retrieval.index import Index
from textdiff.retrieval.query import Found, Hit
from textdiff.retrieval.writer import Added

SHEET_COLUMNS = 5


def print_added(index: Index, added: Sequence[Added]) -> None:
    """A line for each source, and what the index has now."""
    for each in added:
        print(each)
    calibration = index.manifest.calibration
    known = {"texts": calibration.text, "pictures": calibration.picture} if calibration else {}
    matches = [f"{each.value:.3f} for {what}" for what, each in known.items() if each]
    above = f"matches are above {', '.join(matches)}" if matches else "too few to tell what matches"
    print(f"{index.path}: {len(index):,} pictures; {above}")


def print_found(title: str, index: Index, found: Found, listed: Sequence[Hit]) -> None:
    """title: the query. listed: those of the hits that are shown."""
    if listed:
        rows = [[hit.caption, f"{hit.score:.3f}", alike(hit), hit.where] for hit in listed]
        head = ["caption", "score", "alike", "where"]
        print_table(f"{title} among {len(index):,} pictures of {index.path}", head, rows)
    print(verdict(found))
    how = "every picture looked at"
    if found.recall is not None:
        how = f"approximate, which finds {found.recall:.1%} of the exact hits; --exact finds all"
    print(f"{1e3 * found.seconds:.0f} ms, {how}")


def alike(hit: Hit) -> str:
    return "" if hit.group_size == 1 else f"{hit.group_size} of them"


def verdict(found: Found) -> str:
    """Whether anything matches, and by which threshold."""
    if found.threshold is None or found.quantile is None:
        return "whether any of it matches is unknown: the index has too few pictures to tell"
    threshold = (
        f"matches are above {found.threshold:.3f}, where {found.quantile:.0%} of queries about "
        "something else have nothing"
    )
    if not found.nothing_matches:
        return threshold
    if not found.hits:
        return "nothing matches: there is no other picture"
    best = max(found.hits, key=lambda hit: hit.likeness)
    nearest = f"{best.likeness:.3f} ({best.caption or best.where})"
    return f"nothing matches: the best is {nearest}; {threshold} (--all lists what is nearest)"


def save_sheet(
    path: str, title: str, index: Index, listed: Sequence[Hit], size: int | None
) -> None:
    """The pictures of the hits, above score and caption. Raises DataError: a source is gone."""
    if not listed:
        print(f"{path} is not written: there is nothing to show")
        return
    labels = [f"{hit.score:.3f} {hit.caption}" for hit in listed]
    pictures = [index.picture(hit.row, size) for hit in listed]
    with replacing(Path(path)) as temporary:
        labelled_grid(pictures, labels, SHEET_COLUMNS, title).save(temporary, format="PNG")
    print(f"pictures: {path}")
