"""What is in a captioned image set, and what is wrong with it.

Every image is decoded once. Nothing stops at a bad image: they are what an inspection is for.
"""

from __future__ import annotations

import hashlib
import statistics
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from open_clip.tokenizer import SimpleTokenizer
from tqdm import tqdm

from textdiff.byte_pairs import merge_quickly
from textdiff.data.base import CaptionedImages
from textdiff.data.decode import BadImage
from textdiff.data.scenes.splits import Combinations
from textdiff.data.survey import Flaw

START_AND_END = 2  # tokens beside those of the caption


@dataclass(frozen=True)
class Spread:
    """Of whole numbers."""

    min: int
    median: float
    max: int


@dataclass(frozen=True)
class Rejected:
    """Images, rows or files that cannot be used, for one reason. first: where the first is."""

    count: int
    first: str


@dataclass(frozen=True)
class Repeats:
    """Values that several images share: how many, the images that have them, and how many of these
    values are on more than one side of the split."""

    values: int
    images: int
    values_across_splits: int


@dataclass(frozen=True)
class DataReport:
    """images: by split. rejected: by reason. original_*: of usable images before they were resized.
    truncated: captions of more than `context_length` tokens, start and end included.
    longest_caption: of these. A Spread is None where there is nothing to measure.
    flaws: every row, file and image that is rejected. ignored: files that are not the data's, by
    reason. files: how many are used, by what they are used as. notes, combinations: as of
    CaptionedImages."""

    source: str
    fingerprint: str
    image_size: int
    images: dict[str, int]
    rejected: dict[str, Rejected]
    original_width: Spread | None
    original_height: Spread | None
    captions: int
    captions_per_image: Spread | None
    context_length: int
    caption_tokens: Spread | None
    truncated: int
    longest_caption: str | None
    same_picture: Repeats
    same_caption: Repeats
    flaws: list[Flaw]
    ignored: dict[str, list[str]]
    files: dict[str, int]
    notes: list[str]
    combinations: Combinations | None


@dataclass(frozen=True)
class Inspection:
    """usable: indices of the images that can be used. bad: reason by index of the others. sizes:
    (width, height) of the usable ones as they are stored. lengths: tokens of each caption. alike:
    indices of pictures that are the same, a list for each."""

    report: DataReport
    usable: list[int]
    bad: dict[int, str]
    sizes: list[tuple[int, int]]
    lengths: list[int]
    alike: list[list[int]]


def inspect(data: CaptionedImages, context_length: int) -> Inspection:
    """Decodes every image, with a progress bar, and counts the tokens of every caption.

    Args:
        context_length: tokens that a text encoder sees, start and end token included.
    """
    pixels: dict[int, Hashable] = {}
    sizes: list[tuple[int, int]] = []
    bad: dict[int, str] = {}
    flaws = list(data.survey.flaws)
    for index in tqdm(range(len(data)), desc="decoding", leave=False, disable=None):
        try:
            pixels[index] = hashlib.sha256(data.image(index).numpy().tobytes()).digest()
            sizes.append(data.original_size(index))
        except BadImage as error:
            bad[index] = error.reason
            flaws.append(Flaw(error.where, error.reason, str(error)))
    texts = [text for captions in data.captions for text in captions]
    lengths = count_tokens(texts)
    truncated = sum(length > context_length for length in lengths)
    longest = max(zip(lengths, texts, strict=True), default=(0, ""))[1]
    alike = shared(pixels.items())
    captions = ((i, text) for i, own in enumerate(data.captions) for text in set(own))
    report = DataReport(
        source=data.name,
        fingerprint=data.fingerprint,
        image_size=data.image_size,
        images={name: data.splits.count(name) for name in ("train", "val", "test")},
        rejected=group_by_reason(flaws),
        original_width=spread([width for width, _ in sizes]),
        original_height=spread([height for _, height in sizes]),
        captions=len(texts),
        captions_per_image=spread([len(own) for own in data.captions]),
        context_length=context_length,
        caption_tokens=spread(lengths),
        truncated=truncated,
        longest_caption=longest if truncated else None,
        same_picture=count_repeats(alike, data.splits),
        same_caption=count_repeats(shared(captions), data.splits),
        flaws=flaws,
        ignored=data.survey.ignored,
        files=data.survey.used,
        notes=data.notes,
        combinations=data.combinations,
    )
    return Inspection(report, list(pixels), bad, sizes, lengths, alike)


def group_by_reason(flaws: Iterable[Flaw]) -> dict[str, Rejected]:
    places: dict[str, list[str]] = defaultdict(list)
    for flaw in flaws:
        places[flaw.reason].append(flaw.where)
    return {reason: Rejected(len(where), where[0]) for reason, where in places.items()}


def count_tokens(texts: Iterable[str]) -> list[int]:
    """Of CLIP's tokenizer, start and end token included."""
    tokenizer = SimpleTokenizer()
    merge_quickly(tokenizer)
    return [len(tokenizer.encode(text)) + START_AND_END for text in texts]


def spread(values: Sequence[int]) -> Spread | None:
    """None of no values."""
    return Spread(min(values), statistics.median(values), max(values)) if values else None


def shared(items: Iterable[tuple[int, Hashable]]) -> list[list[int]]:
    """items: (image, value). The images of each value that several have."""
    images: dict[Hashable, list[int]] = defaultdict(list)
    for index, value in items:
        images[value].append(index)
    return [group for group in images.values() if len(group) > 1]


def count_repeats(groups: Sequence[Sequence[int]], splits: Sequence[str]) -> Repeats:
    """groups: images of one value. splits: of each image."""
    return Repeats(
        values=len(groups),
        images=len({index for group in groups for index in group}),
        values_across_splits=sum(len({splits[i] for i in group}) > 1 for group in groups),
    )
