"""A report on a captioned image set as people read it."""

from __future__ import annotations

from collections.abc import Sequence

from textdiff.data.inspect import DataReport, Repeats, Spread
from textdiff.data.scenes.splits import Combinations
from textdiff.data.text import shown

SHOWN_LETTERS = 60  # of the longest caption
SHOWN_FLAWS = 200
SHOWN_COMBINATIONS = 33


def facts(report: DataReport) -> list[tuple[str, str]]:
    """(name, value) of each fact, the most interesting first."""
    rejected = [
        f"{each.count:,} {reason} (first: {each.first})" for reason, each in report.rejected.items()
    ]
    ignored = [
        f"{len(names):,} {reason} (first: {names[0]})" for reason, names in report.ignored.items()
    ]
    flaws = [str(flaw) if flaw.where not in flaw.detail else flaw.detail for flaw in report.flaws]
    if len(flaws) > SHOWN_FLAWS:
        flaws[SHOWN_FLAWS:] = [f"and {len(flaws) - SHOWN_FLAWS:,} more; --json FILE lists them"]
    cut = f"{report.truncated:,} longer than {report.context_length} tokens"
    if report.longest_caption:
        cut += f" (longest: {shown(report.longest_caption[:SHOWN_LETTERS])}...)"
    return [
        ("images", f"{sum(report.images.values()):,}"),
        ("splits", ", ".join(f"{name} {n:,}" for name, n in report.images.items())),
        *(("split", note) for note in report.notes if "held out" in note),
        *combinations_facts(report.combinations),
        *(("files used", f"{n:,} {what}") for what, n in report.files.items()),
        *(("rejected", text) for text in rejected or ["none"]),
        *(("flaw", text) for text in flaws),
        *(("ignored", text) for text in ignored or ["none"]),
        ("width of originals", spread_text(report.original_width, "pixels")),
        ("height of originals", spread_text(report.original_height, "pixels")),
        ("used as", f"{report.image_size} x {report.image_size} pixels"),
        ("captions", f"{report.captions:,}"),
        ("captions per image", spread_text(report.captions_per_image)),
        ("caption length", spread_text(report.caption_tokens, "tokens")),
        ("truncated captions", cut),
        ("same picture", repeats_text(report.same_picture, "pictures")),
        ("same caption", repeats_text(report.same_caption, "captions")),
        ("fingerprint", report.fingerprint[:16]),
    ]


def combinations_facts(combinations: Combinations | None) -> list[tuple[str, str]]:
    """What composed pictures are made of, and what training never shows."""
    if combinations is None:
        return []
    pairs = [f"{colour} {kind}" for kind, colour in combinations.unseen_pairs]
    triples = [" ".join(triple) for triple in combinations.unseen_triples]
    total = len(combinations.seen_pairs) + len(pairs)
    rows = [
        ("objects", f"{len(combinations.kinds)}: {first_of(combinations.kinds)}"),
        ("held-out pairs", f"{len(pairs)} of {total}: {first_of(pairs)}"),
    ]
    if triples:
        rows.append(("held-out relations", f"{len(triples):,}: {first_of(triples)}"))
    return rows


def first_of(items: Sequence[str]) -> str:
    more = len(items) - SHOWN_COMBINATIONS
    shown_items = ", ".join(items[:SHOWN_COMBINATIONS])
    return f"{shown_items}, and {more:,} more; --json FILE lists them" if more > 0 else shown_items


def spread_text(spread: Spread | None, unit: str = "") -> str:
    if spread is None:
        return "unknown"
    if spread.min == spread.max:
        return f"{spread.min:,} {unit}".rstrip()
    ends = f"{spread.min:,} to {spread.max:,} {unit}".rstrip()
    return f"{ends}, median {spread.median:,.0f}"


def repeats_text(repeats: Repeats, what: str) -> str:
    if not repeats.values:
        return "none"
    return (
        f"{repeats.values:,} {what} shared by {repeats.images:,} images; "
        f"{repeats.values_across_splits:,} of them on more than one side of the split"
    )
