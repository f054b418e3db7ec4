"""Pictures into an index and out of it.

    pictures that are new ── 8,192 at a time ──► features ──► a shard ──► manifest

The manifest is replaced after each shard, so that what was killed on the way continues where it
was, and what is read meanwhile is whole. A picture is known by its source and its name there: one
that is in the index already is not looked at again, unless its captions changed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from textdiff.data import CaptionedImages
from textdiff.errors import UsageError
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.results import to_json
from textdiff.files import check_folder
from textdiff.retrieval.calibration import calibrate
from textdiff.retrieval.index import Index
from textdiff.retrieval.manifest import (
    FORMAT,
    MANIFEST,
    IndexedSource,
    Manifest,
    ranges_of,
    read_manifest,
    write_manifest,
)
from textdiff.retrieval.shard import ROWS, lines, open_shard, write_shard
from textdiff.retrieval.sources import open_source, same_pictures, whole_source


@dataclass(frozen=True)
class Added:
    """Of one source. new: pictures that came into the index. already: that were in it. renewed: of
    the new, those that were in it with other captions. unusable: that could not be read."""

    source: str
    new: int
    already: int
    renewed: int
    unusable: int


class IndexWriter:
    """Changes an index, whose state after the last change is `index`."""

    def __init__(self, index: Index, features: CachedFeatures) -> None:
        self.index, self._features = index, features

    @classmethod
    @contextmanager
    def create(cls, path: str | Path, features: CachedFeatures, clip: str) -> Iterator[IndexWriter]:
        """A new index, or one that was begun with the same CLIP and not built to its end.

        Args:
            features: by the index' CLIP.
            clip: what the user calls it.

        Raises:
            UsageError: `path` holds an index that is finished or another CLIP's, or other files.
        """
        folder = Path(path).expanduser()
        check_folder("--out", folder)
        if not (folder / MANIFEST).is_file():
            if folder.is_dir() and any(folder.iterdir()):
                raise UsageError(f"--out {folder} holds other files; name another place")
            folder.mkdir(parents=True, exist_ok=True)
            manifest = Manifest(FORMAT, clip, features.protocol, sources=[], shards=[], removed=[])
            write_manifest(folder, manifest)
        elif read_manifest(folder).calibration is not None:
            raise UsageError(
                f"--out {folder} is an index already; add to it with 'textdiff index add', or name "
                "another place"
            )
        with changing(folder):
            index = Index.read(folder)
            index.check_clip(features.protocol)
            yield cls(index, features)

    @classmethod
    @contextmanager
    def open(cls, path: str | Path, features: CachedFeatures) -> Iterator[IndexWriter]:
        """An index that is there.

        Raises:
            DataError: it is damaged or not finished. UsageError: it is another CLIP's, or another
                process changes it.
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
        known = self._known(number)
        renewed = [
            k
            for k, name in enumerate(data.identifiers)
            if name in known and lines(data.captions[k]) != self.index.captions(known[name])
        ]
        self._remove([known[data.identifiers[k]] for k in renewed])
        unknown = [k for k, name in enumerate(data.identifiers) if name not in known]
        wanted, new = sorted(unknown + renewed), 0
        for start in range(0, len(wanted), ROWS):
            new += self._write_rows(number, data, wanted[start : start + ROWS])
        already, unusable = len(data) - len(wanted), len(wanted) - new
        return Added(data.name, new, already, len(renewed), unusable)

    def remove(self, source: str | None, pictures: Sequence[str]) -> int:
        """Rows of a source, by the name that the index has for it, or of one source if it is the
        only one; pictures: these of it, by their names there; none: all. Returns how many.

        Raises:
            UsageError: no such source or picture.
        """
        number = self._named(source)
        known = self._known(number)
        strange = [name for name in pictures if name not in known]
        if strange:
            name = self.index.manifest.sources[number].name
            raise UsageError(f"{strange[0]} is not in the index, as a picture of {name}")
        rows = [known[name] for name in dict.fromkeys(pictures)] if pictures else [*known.values()]
        self._remove(rows)
        return len(rows)

    def finish(self) -> None:
        """Thresholds for the pictures that there are now; files that nothing names are removed."""
        calibration = self.index.manifest.calibration
        if calibration is None or calibration.live != len(self.index):
            self._write(
                replace(self.index.manifest, calibration=calibrate(self.index, self._features))
            )
        named = {shard.file for shard in self.index.manifest.shards}
        for path in self.index.path.glob("*shard-*.safetensors"):
            if path.name not in named:
                path.unlink()

    def _number_of(self, data: CaptionedImages) -> int:
        """Of the source of `data` in the manifest, where it stands from now on."""
        settings = to_json(whole_source(data.config).model_dump())
        sources = list(self.index.manifest.sources)
        own = IndexedSource(data.name, settings, fingerprint="")
        own = replace(own, fingerprint=open_source(own).data.fingerprint)
        for number, source in enumerate(sources):
            if same_pictures(source.settings, settings):
                sources[number] = own
                break
        else:
            number = len(sources)
            sources.append(own)
        self._write(replace(self.index.manifest, sources=sources))
        return number

    def _named(self, source: str | None) -> int:
        names = [each.name for each in self.index.manifest.sources]
        if source is None and len(names) == 1:
            return 0
        if source is None or names.count(source) != 1:
            asked = f"source {source}" if source else "which source"
            raise UsageError(f"{asked}: the index {self.index.path} has {', '.join(names)}")
        return names.index(source)

    def _known(self, source: int) -> dict[str, int]:
        """Row of each picture of a source by its name there."""
        gone, start, known = self.index.rows.gone, 0, {}
        for shard in self.index.shards:
            if shard.source == source:
                for local, name in enumerate(shard.identifiers):
                    if gone is None or not gone[start + local]:
                        known[name] = start + local
            start += len(shard.planes)
        return known

    def _write_rows(self, source: int, data: CaptionedImages, indices: Sequence[int]) -> int:
        """A shard of the usable ones of these images; returns how many they are."""
        features = self._features.of_images(data, indices)
        if not len(features):
            return 0
        names = [data.identifiers[indices[k]] for k in features.positions]
        manifest, folder = self.index.manifest, self.index.path
        number = len(manifest.shards)
        entry = write_shard(folder, number, source, features.features, names, features.captions)
        self._write(replace(manifest, shards=[*manifest.shards, entry]))
        return len(features)

    def _remove(self, rows: Sequence[int]) -> None:
        if not rows:
            return
        gone = self.index.manifest.gone()
        gone = np.zeros(self.index.manifest.rows, dtype=bool) if gone is None else gone
        gone[list(rows)] = True
        self._write(replace(self.index.manifest, removed=ranges_of(gone)))

    def _write(self, manifest: Manifest) -> None:
        """The manifest, on disk and here."""
        write_manifest(self.index.path, manifest)
        shards = [*self.index.shards]
        shards += [open_shard(self.index.path, each) for each in manifest.shards[len(shards) :]]
        self.index = Index(self.index.path, manifest, shards)


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """While one process changes an index, others may only read it. Raises UsageError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UsageError(f"another process changes the index {folder}; wait for it") from None
    finally:
        os.close(descriptor)
