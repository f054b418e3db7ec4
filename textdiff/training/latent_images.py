"""Latents of a split on disk, so that each picture is encoded once.

    <cache>/latents-<key>/latents.npy  (N, C or 2 C, h, w) float16, a row per image of the split
                          about.json   VAE, data, and whether x_0 is sampled

The key covers the VAE's weights, the data's fingerprint and version, which say how the pictures
look, and what is kept. Rows that the disk has spoilt are found when a training starts, and encoded
again. See `data.row_cache`.

    bytes of a picture        pixels     mean and logvar     mean
    64 pixels, f 4, C 4       12,288     4,096               2,048
    256 pixels, f 8, C 4      196,608    16,384              8,192
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textdiff.cores import usable_cores
from textdiff.data.base import CaptionedImages
from textdiff.data.cost import FREE_SHARE, gigabytes
from textdiff.data.pixel_cache import cache_root, free_bytes, read_all
from textdiff.data.row_cache import RowCache
from textdiff.data.training_data import TrainingData
from textdiff.errors import DataError
from textdiff.training.latents import LatentEncoder

BYTES = 2  # of a float16


class LatentImages:
    """A split of pictures as a training reads it (`TrainingData`): what `read` gives are rows of a
    `LatentEncoder` once `fill` was called, pictures before. Pickled without the encoder.

    Raises:
        DataError: the cache cannot be used.
    """

    def __init__(self, pictures: CaptionedImages, encoder: LatentEncoder) -> None:
        self.pictures, self.is_cached = pictures, False
        self.name, self.split, self.config = pictures.name, pictures.split, pictures.config
        self.identifiers, self.captions = pictures.identifiers, pictures.captions
        self.fingerprint, self.notes = pictures.fingerprint, pictures.notes
        self.attribution, self.bad = pictures.attribution, pictures.bad
        about = {
            "VAE": encoder.vae.identity,
            "data": [pictures.fingerprint, pictures.version],
            "kept": encoder.kept,
        }
        key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
        self.cache = RowCache(
            cache_root(pictures.config) / f"latents-{key}",
            (len(pictures), *encoder.row_shape),
            name="latents",
            dtype="float16",
            about=about,
        )

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def title(self) -> str:
        return self.pictures.title

    @property
    def group_size(self) -> int:
        return self.pictures.group_size

    @property
    def described(self) -> Mapping[str, Any]:
        return self.pictures.described

    @property
    def files(self) -> list[Path]:
        return self.pictures.files

    @property
    def all_captions(self) -> list[str]:
        return self.pictures.all_captions

    @property
    def rejected(self) -> Counter[str]:
        return self.pictures.rejected

    def fill(
        self, encoder: LatentEncoder, reads: int | None = None, rank: int = 0, ranks: int = 1
    ) -> str:
        """Encodes what is not in the cache yet, and reads from there from now on. Says where.

        Args:
            reads: rows that will be read in all; with `data.cache` auto, fewer than there are to
                encode are not worth it. None: many.
            rank: of `ranks` processes that fill it one after another, each of which looks for
                damage in its share of the rows.

        Raises:
            DataError: the VAE gives latents that are not finite; or as `CaptionedImages.read`.
        """
        every, spoilt = range(len(self)), 0
        missing = len(self.cache.missing(every))
        if self.config.cache == "auto" and reads is not None and reads < missing:
            return f"no cache of latents: {reads} pictures are read, {missing} are to be encoded"

        def check() -> None:
            nonlocal spoilt
            rows = self.cache.spoilt(range(rank, len(self), ranks))
            self.cache.forget(rows)
            spoilt = len(rows)

        doing = "encoding pictures into latents"
        with (
            self.cache.filling(every, doing, again=check) as chunks,
            ThreadPoolExecutor(usable_cores()) as pool,
        ):
            for chunk in chunks:
                pictures, bad = read_all(pool, chunk, self.pictures.image)
                if pictures:
                    rows = encoder.rows(torch.stack(list(pictures.values()))).cpu()
                    self._check_finite(rows, list(pictures))
                    self.cache.write(list(pictures), list(rows.numpy()))
                if bad:
                    self.note_bad(bad)
        self.is_cached = True
        size = gigabytes(len(self) * BYTES * math.prod(encoder.row_shape))
        again = f"; {spoilt} were damaged and are encoded again" if spoilt else ""
        return f"latents are read from {self.cache.folder} ({size}){again}"

    def _check_finite(self, rows: Tensor, indices: Sequence[int]) -> None:
        broken = (~rows.isfinite().flatten(1).all(1)).nonzero()[:, 0]
        if len(broken):
            raise DataError(
                f"{self.name}: the VAE gives latents of {self.identifiers[indices[int(broken[0])]]}"
                " that are NaN or beyond 65504; give a VAE that was trained on such pictures"
            )

    def read(self, indices: Sequence[int]) -> tuple[list[int], Tensor]:
        if not self.is_cached:
            return self.pictures.read(indices)
        used = [self._first_usable(int(index)) for index in indices]
        return used, torch.stack([self._row(index) for index in used])

    def usable(self, indices: Sequence[int]) -> tuple[list[int], Tensor]:
        read, rows = self.read(indices)
        intact = [k for k, index in enumerate(indices) if read[k] == index]
        return [read[k] for k in intact], rows[intact]

    def note_bad(self, reasons: Mapping[int, str]) -> None:
        self.pictures.note_bad(reasons)

    def _first_usable(self, index: int) -> int:
        """As `CaptionedImages` puts others in the place of pictures that cannot be used."""
        candidates = ((index + offset) % len(self) for offset in range(len(self)))
        for candidate in candidates:
            if candidate not in self.bad:
                return candidate
        raise DataError(f"{self.name}: no image of split '{self.split}' can be used")

    def _row(self, index: int) -> Tensor:
        row = self.cache.get(index)
        if row is None:
            raise DataError(
                f"{self.cache.folder} was spoilt while it was read; start again to fill it"
            )
        return row


def decoded(data: TrainingData) -> CaptionedImages | None:
    """The pictures that are decoded whenever `data` are read; None: none are."""
    if isinstance(data, LatentImages) and not data.is_cached:
        return data.pictures
    return data if isinstance(data, CaptionedImages) else None


def latent_images(
    pictures: CaptionedImages, encoder: LatentEncoder
) -> CaptionedImages | LatentImages:
    """`pictures` with a cache of their latents as `data.cache` says, "auto": where there is room;
    if not, its notes say so.

    Raises:
        DataError: no room where the cache must be on, or one that cannot be used.
    """
    mode = pictures.config.cache
    if mode == "off":
        return pictures
    try:
        latents = LatentImages(pictures, encoder)
    except DataError as error:
        if mode == "on" or "cache folder" not in str(error):
            raise
        pictures.notes.append(f"no cache of latents: {error}")
        return pictures
    missing = len(latents.cache.missing(range(len(latents))))
    size, free = missing * BYTES * math.prod(encoder.row_shape), free_bytes(pictures.config)
    if size > free * (FREE_SHARE if mode == "auto" else 1):
        room = f"{gigabytes(size)} for the cache of {missing} latents, {gigabytes(free)} free"
        if mode == "on":
            raise DataError(f"{room}: set data.cache_dir to a larger disk or data.cache to off")
        pictures.notes.append(f"no cache of latents: {room}")
        return pictures
    return latents
