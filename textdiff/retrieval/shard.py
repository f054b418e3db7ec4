"""A file of rows: what is multiplied, and what says which picture each row is of.

    coarse (n, D) bfloat16, fine (n, D) int16      features of length 1, see `planes`
    identifiers, captions                          packed, see `texts`; captions of a row by lines

Tensors are mapped, not read: what a search does not touch takes no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F

from textdiff.checkpoint import load_tensors, save_tensors
from textdiff.errors import CheckpointError, DataError
from textdiff.manifests import sha256_of
from textdiff.retrieval.manifest import ShardEntry
from textdiff.retrieval.planes import Planes
from textdiff.retrieval.texts import PackedTexts
from textdiff.types import Features

ROWS = 8192  # of a shard, at most: what a build that is killed has to do again


@dataclass(frozen=True)
class Shard:
    """n rows. source: number of the source that they come from."""

    planes: Planes
    identifiers: PackedTexts
    captions: PackedTexts
    source: int


def write_shard(
    folder: Path,
    number: int,
    source: int,
    features: Features,
    identifiers: Sequence[str],
    captions: Sequence[Sequence[str]],
) -> ShardEntry:
    """Of features (n, D), finite; they are made unit. Raises OSError."""
    planes = Planes.of(F.normalize(features.double(), dim=1).float())
    names = PackedTexts.of(identifiers)
    texts = PackedTexts.of(["\n".join(lines(row)) for row in captions])
    path = folder / f"shard-{number:06d}.safetensors"
    save_tensors(
        path,
        {
            "coarse": planes.coarse,
            "fine": planes.fine,
            "identifiers": names.content,
            "identifier_ends": names.ends,
            "captions": texts.content,
            "caption_ends": texts.ends,
        },
    )
    sha256 = sha256_of(path)
    named = path.with_name(f"shard-{number:06d}-{sha256[:8]}.safetensors")
    path.replace(named)
    size = named.stat().st_size
    return ShardEntry(named.name, len(identifiers), source, planes.error, size, sha256)


def open_shard(folder: Path, entry: ShardEntry) -> Shard:
    """Raises DataError: it is missing, or not what was written."""
    path = folder / entry.file
    remedy = "copy it again, or build the index again"
    if not path.is_file():
        raise DataError(f"{path} is missing, though the index lists it; {remedy}")
    if path.stat().st_size != entry.size or sha256_of(path) != entry.sha256:
        raise DataError(f"{path} is damaged: it differs from what the index says; {remedy}")
    try:
        tensors = load_tensors(path)
        return Shard(
            Planes(tensors["coarse"], tensors["fine"], entry.error),
            PackedTexts(tensors["identifiers"], tensors["identifier_ends"]),
            PackedTexts(tensors["captions"], tensors["caption_ends"]),
            entry.source,
        )
    except (CheckpointError, KeyError) as error:
        raise DataError(f"{path} is no shard of an index: {error}; {remedy}") from None


def lines(captions: Sequence[str]) -> list[str]:
    """Captions as a shard keeps them: each on a line, empty ones left out."""
    return [line for line in (" ".join(text.split()) for text in captions) if line]
