"""Pictures into an index.

    pictures that are new ── 8,192 at a time ──► features ──► a shard ──► manifest

The manifest is replaced after each shard, so that what was killed on the way continues where it
was, and what is read meanwhile is whole. A picture is known by its source and its name there: one
that is in the index already is not looked at again, unless its captions changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from textdiff.data import CaptionedImages
from textdiff.errors import UsageError, missing_packages
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.results import to_json
from textdiff.files import check_folder
from textdiff.retrieval.approximate import APPROXIMATE_FROM, Lists, write_lists
from textdiff.retrieval.calibration import QUERIES, calibrate, evenly
from textdiff.retrieval.changes import changed, changing, rows_by_name, without_rows
from textdiff.retrieval.index import Index, unit
from textdiff.retrieval.manifest import (
    FORMAT,
    MANIFEST,
    IndexedSource,
    Manifest,
    read_manifest,
    write_manifest,
)
from textdiff.retrieval.shard import ROWS, lines, write_shard
from textdiff.retrieval.sources import open_source, same_pictures, whole_source, widened

Approximation = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class Added:
    """Of one source. new: pictures that came into the index. already: that were in it. renewed: of
    the new, those that were in it with other captions. unusable: that could not be read."""

    source: str
    new: int
    already: int
    renewed: int
    unusable: int

    def __str__(self) -> str:
        if not self.new and not self.unusable:
            return f"{self.source}: all {self.already:,} pictures are in the index already"
        parts = [f"{self.new:,} pictures added"]
        parts += [f"{self.renewed:,} of them with new captions"] if self.renewed else []
        parts += [f"{self.already:,} were in the index already"] if self.already else []
        parts += [f"{self.unusable:,} cannot be used"] if self.unusable else []
        return f"{self.source}: {', '.join(parts)}"


class IndexWriter:
    """Adds to an index, whose state after the last change is `index`."""

    def __init__(self, index: Index, features: CachedFeatures) -> None:
        self.index, self._features = index, features

    @classmethod
    @contextmanager
    def create(cls, path: str | Path, features: CachedFeatures, clip: str) -> Iterator[IndexWriter]:
        """A new index, or one that was begun with the same CLIP and not built to its end.

        Args:
            features: by the index' CLIP.
            clip: where it is, from any folder.

        Raises:
            UsageError: `path` holds an index that is finished or another CLIP's, or other files.
        """
        folder = Path(path).expanduser()
        check_new("--out", folder)
        if not (folder / MANIFEST).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            manifest = Manifest(FORMAT, clip, features.protocol, sources=[], shards=[], removed=[])
            write_manifest(folder, manifest)
        with changing(folder):
            index = Index.read(folder)
            index.check_clip(features.protocol)
            yield cls(index, features)

    @classmethod
    @contextmanager
    def open(cls, path: str | Path, features: CachedFeatures) -> Iterator[IndexWriter]:
        """An index that is there.

        Raises:
            DataError: it is damaged or not finished.
            UsageError: it is another CLIP's, or another process changes it.
        """
        folder = Index.open(path).path
        with changing(folder):
            index = Index.open(folder)
            index.check_clip(features.protocol)
            yield cls(index, features)

    def add(self, data: CaptionedImages) -> Added:
        """The pictures of `data`, prepared for the CLIP, that are not in the index.

        Raises:
            DataError: too many cannot be used, or features that are not finite.
        """
        number = self._number_of(data)
        known = rows_by_name(self.index, number)
        names = data.identifiers
        renewed = [
            k
            for k, name in enumerate(names)
            if name in known and lines(data.captions[k]) != self.index.captions(known[name])
        ]
        self.index = without_rows(self.index, [known[names[k]] for k in renewed])
        unknown = [k for k, name in enumerate(names) if name not in known]
        wanted, new = sorted(unknown + renewed), 0
        for start in range(0, len(wanted), ROWS):
            new += self._write_rows(number, data, wanted[start : start + ROWS])
        already, unusable = len(data) - len(wanted), len(wanted) - new
        return Added(data.name, new, already, len(renewed), unusable)

    def finish(self, approximate: Approximation = "auto") -> None:
        """Thresholds for the pictures that there are now, and lists of them where `approximate` is
        on, or auto and there are many; files that nothing names are removed.

        Raises:
            UsageError: an index without pictures, or faiss is asked for and not installed.
        """
        manifest = self.index.manifest
        if not len(self.index):
            raise UsageError(f"no picture for the index {self.index.path}; give others")
        if manifest.calibration is None or manifest.calibration.live != len(self.index):
            calibration = calibrate(self.index, self._features)
            self.index = changed(self.index, replace(manifest, calibration=calibration))
        if approximate == "on" or (approximate == "auto" and self._many()):
            self._write_lists()
        elif approximate == "off" and manifest.lists:
            self.index = changed(self.index, replace(self.index.manifest, lists=None))
        remove_strays(self.index)

    def _many(self) -> bool:
        """Whether lists pay, for rows that those that there are do not know."""
        rows, lists = len(self.index.rows), self.index.manifest.lists
        later = rows - (lists.rows if lists else 0)
        return rows >= APPROXIMATE_FROM and later > rows // 10 and not missing_packages("retrieval")

    def _write_lists(self) -> None:
        rows = evenly(self.index.live_rows(), QUERIES)
        captions = [self.index.caption(row) for row in rows]
        asked = [text for text in captions if text]
        queries = [unit(self._features.of_captions(asked))] if asked else []
        lists = Lists.of(self.index.rows, torch.cat([*queries, self.index.rows.take(rows)]))
        entry = write_lists(self.index.path, lists)
        self.index = changed(self.index, replace(self.index.manifest, lists=entry))

    def _number_of(self, data: CaptionedImages) -> int:
        """Of the source of `data` in the manifest, where it stands from now on."""
        manifest = self.index.manifest
        settings = to_json(whole_source(data.config).model_dump())
        sources = list(manifest.sources)
        equal = (k for k, each in enumerate(sources) if same_pictures(each.settings, settings))
        number = next(equal, len(sources))
        if number < len(sources):
            settings = widened(settings, sources[number].settings)
            name = sources[number].name
        else:
            name = free_name(data.name, sources)
        own = IndexedSource(name, settings, fingerprint="")
        own = replace(own, fingerprint=open_source(own).data.fingerprint)
        sources[number : number + 1] = [own]
        self.index = changed(self.index, replace(manifest, sources=sources))
        return number

    def _write_rows(self, source: int, data: CaptionedImages, indices: Sequence[int]) -> int:
        """A shard of the usable ones of these images; returns how many they are."""
        features = self._features.of_images(data, indices)
        if len(features):
            manifest = self.index.manifest
            names = [data.identifiers[indices[k]] for k in features.positions]
            entry = write_shard(
                self.index.path,
                len(manifest.shards),
                source,
                features.features,
                names,
                features.captions,
            )
            shards = [*manifest.shards, entry]
            self.index = changed(self.index, replace(manifest, shards=shards))
        return len(features)


def remove_strays(index: Index) -> None:
    """Files that the manifest does not name, of a process that was killed, or of before."""
    manifest = index.manifest
    named = {shard.file for shard in manifest.shards}
    named |= {manifest.lists.file} if manifest.lists else set()
    for pattern in ("*shard-*.safetensors", "*lists*.faiss"):
        for path in index.path.glob(pattern):
            if path.name not in named:
                path.unlink()


def check_new(flag: str, folder: Path) -> None:
    """Raises UsageError where no index can be built in `folder`, or one is there."""
    check_folder(flag, folder)
    if not (folder / MANIFEST).is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"{flag} {folder} holds other files; name another place")
    elif read_manifest(folder).calibration is not None:
        raise UsageError(
            f"{flag} {folder} is an index already; add to it with 'textdiff index add', or name "
            "another place"
        )


def check_distinct(sources: Sequence[CaptionedImages]) -> None:
    """Raises UsageError where two of them are the same."""
    settings = [to_json(whole_source(data.config).model_dump()) for data in sources]
    for number, one in enumerate(settings):
        if any(same_pictures(one, other) for other in settings[:number]):
            raise UsageError(f"{sources[number].name} is given twice; give each source once")


def free_name(name: str, sources: Sequence[IndexedSource]) -> str:
    """`name`, with a number where another source has it: the same data with other settings."""
    taken, number, free = {source.name for source in sources}, 2, name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free
