"""`textdiff data info SOURCE`: what is in a captioned image set, and what is wrong with it.

Every image is decoded once. Nothing stops at a bad image: they are what this command is for.
"""

from __future__ import annotations

import hashlib
import statistics
from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import DataConfig

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.table import Table

    from textdiff.data.base import CaptionedImages

COLUMNS = 8  # of the contact sheet


class DataInfoSettings(Settings):
    data: DataConfig = DataConfig()
    out: str = Field("out/contact_sheet.png", description="where the contact sheet goes")
    num_pictures: int = Field(64, ge=1, description="pictures on the contact sheet")
    context_length: int = Field(
        77, ge=3, description="tokens the text encoder sees, start and end token included"
    )
    json: str | None = Field(None, description="write the numbers here too")


def run(settings: DataInfoSettings) -> None:
    """Prints the table, writes the contact sheet and, where asked, the JSON. Raises DataError."""
    import json

    from rich.console import Console

    from textdiff.data import open_data
    from textdiff.files import check_file, replacing, write_text

    check_file("--out", settings.out)
    check_file("--json", settings.json)
    data = open_data(settings.data, "all")
    report, usable = inspect(data, settings.context_length)
    console = Console()
    console.print(as_table(report))
    if settings.json:
        write_text(settings.json, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    if usable:
        with replacing(settings.out) as file:
            contact_sheet(data, usable, settings.num_pictures).save(file, format="PNG")
        console.print(f"contact sheet: {settings.out}", soft_wrap=True)


def inspect(data: CaptionedImages, context_length: int) -> tuple[dict[str, Any], list[int]]:
    """The report, ready for JSON, and the indices of the images that can be used."""
    from tqdm import tqdm

    from textdiff.data.decode import BadImage

    pixels: dict[int, Hashable] = {}
    sizes: list[tuple[int, int]] = []
    bad: dict[int, BadImage] = {}
    for index in tqdm(range(len(data)), desc="decoding", leave=False, disable=None):
        try:
            pixels[index] = hashlib.sha256(data.image(index).numpy().tobytes()).digest()
            sizes.append(data.original_size(index))
        except BadImage as error:
            bad[index] = error
    reasons: dict[str, list[str]] = defaultdict(list)
    for error in bad.values():
        reasons[error.reason].append(error.where)
    report = {
        "source": data.name,
        "fingerprint": data.fingerprint,
        "image_size": data.image_size,
        "images": {name: data.splits.count(name) for name in ("train", "val", "test")},
        "rejected": {
            reason: {"count": len(names), "first": names[0]} for reason, names in reasons.items()
        },
        "original_width": _spread([width for width, _ in sizes]),
        "original_height": _spread([height for _, height in sizes]),
        "captions": sum(map(len, data.captions)),
        "captions_per_image": _spread([len(captions) for captions in data.captions]),
        **_caption_lengths(data, context_length),
        "same_picture": _repeats(pixels.items(), data.splits),
        "same_caption": _repeats(
            ((i, text) for i, texts in enumerate(data.captions) for text in set(texts)), data.splits
        ),
    }
    return report, list(pixels)


def as_table(report: dict[str, Any]) -> Table:
    """The report as people read it."""
    from rich import box
    from rich.table import Table

    table = Table(title=f"{report['source']}", box=box.SIMPLE_HEAD, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    counts = report["images"]
    table.add_row("images", f"{sum(counts.values()):,}")
    table.add_row("splits", ", ".join(f"{name} {n:,}" for name, n in counts.items()))
    for reason, found in report["rejected"].items():
        table.add_row("rejected", f"{found['count']:,} {reason} (first: {found['first']})")
    if not report["rejected"]:
        table.add_row("rejected", "none")
    table.add_row("width of originals", _as_text(report["original_width"], "pixels"))
    table.add_row("height of originals", _as_text(report["original_height"], "pixels"))
    table.add_row("used as", f"{report['image_size']} x {report['image_size']} pixels")
    table.add_row("captions", f"{report['captions']:,}")
    table.add_row("captions per image", _as_text(report["captions_per_image"]))
    table.add_row("caption length", _as_text(report["caption_tokens"], "tokens"))
    cut = f"{report['truncated']:,} longer than {report['context_length']} tokens"
    table.add_row("truncated captions", cut + _example(report["longest_caption"]))
    table.add_row("same picture", _repeats_as_text(report["same_picture"], "pictures"))
    table.add_row("same caption", _repeats_as_text(report["same_caption"], "captions"))
    table.add_row("fingerprint", report["fingerprint"][:16])
    return table


def contact_sheet(data: CaptionedImages, usable: list[int], num_pictures: int) -> Image:
    """`num_pictures` pictures spread evenly over `usable`, each with its first caption."""
    from textdiff.data.grid import labelled_grid, to_pil

    count = min(num_pictures, len(usable))
    shown = [usable[i * len(usable) // count] for i in range(count)]
    title = f"{data.name}: {count} of {len(data):,} images, {data.image_size} x {data.image_size}"
    labels = [data.captions[index][0] for index in shown]
    return labelled_grid(to_pil(data.images(shown)), labels, COLUMNS, title)


def _caption_lengths(data: CaptionedImages, context_length: int) -> dict[str, Any]:
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer()
    texts = [text for captions in data.captions for text in captions]
    lengths = [len(tokenizer.encode(text)) + 2 for text in texts]  # start and end token
    truncated = sum(length > context_length for length in lengths)
    longest = max(zip(lengths, texts, strict=True), default=(0, ""))[1]
    return {
        "context_length": context_length,
        "caption_tokens": _spread(lengths),
        "truncated": truncated,
        "longest_caption": longest if truncated else None,
    }


def _spread(values: list[int]) -> dict[str, float] | None:
    if not values:
        return None
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def _repeats(items: Iterable[tuple[int, Hashable]], splits: list[str]) -> dict[str, int]:
    """How many values several images share, how many images that are, and which cross splits."""
    images: dict[Hashable, list[int]] = defaultdict(list)
    for index, value in items:
        images[value].append(index)
    shared = [group for group in images.values() if len(group) > 1]
    return {
        "values": len(shared),
        "images": len({index for group in shared for index in group}),
        "values_across_splits": sum(len({splits[i] for i in group}) > 1 for group in shared),
    }


def _as_text(spread: dict[str, float] | None, unit: str = "") -> str:
    if spread is None:
        return "unknown"
    if spread["min"] == spread["max"]:
        return f"{spread['min']:,} {unit}".rstrip()
    return f"{spread['min']:,} to {spread['max']:,} {unit}".rstrip() + (
        f", median {spread['median']:,.0f}"
    )


def _repeats_as_text(repeats: dict[str, int], what: str) -> str:
    if not repeats["values"]:
        return "none"
    return (
        f"{repeats['values']:,} {what} shared by {repeats['images']:,} images; "
        f"{repeats['values_across_splits']:,} of them on more than one side of the split"
    )


def _example(caption: str | None) -> str:
    return f" (longest: {caption[:60]}...)" if caption else ""
