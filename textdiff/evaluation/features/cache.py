"""Feature sets on disk, found again by what they are of.

    key = hash(extractor: weights, layer, architecture, preprocessing, batch size; versions;
               pictures or captions)
    <cache>/features/<key>.safetensors

A file that is damaged is computed again, and a line says so. Those that were not read for longest
are removed when all together take more than MOST_BYTES. Nothing here makes an evaluation fail: a
disk that cannot be written to is told, and the features are used all the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from textdiff.data.config import DataConfig
from textdiff.data.pixel_cache import cache_root
from textdiff.errors import DataError
from textdiff.evaluation.features.extractor import Extractor
from textdiff.evaluation.features.feature_set import (
    FORMAT,
    FeatureSet,
    read_features,
    write_features,
)
from textdiff.evaluation.protocol import versions
from textdiff.evaluation.results import to_json

MOST_BYTES = 4 << 30
LIBRARIES = ("numpy", "timm", "torch-fidelity", "torchvision", "transformers")  # beside `versions`


def key_of(extractor: Extractor, of: dict[str, Any]) -> str:
    """of: what decides the features besides the extractor, as JSON. A newer library may decode,
    resize or multiply otherwise, so versions count; a batch of another size may be rounded
    otherwise."""
    by = [to_json(list(extractor.protocol.identity)), extractor.batch_size]
    content = [FORMAT, by, to_json(of), versions(), {name: installed(name) for name in LIBRARIES}]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def installed(package: str) -> str | None:
    """Its version; None: it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@dataclass(frozen=True)
class FeatureCache:
    """Files in `folder`, which is made when the first is written."""

    folder: Path
    most_bytes: int = MOST_BYTES

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def get(self, key: str) -> FeatureSet | None:
        """None where there is none, or a damaged one."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            features = read_features(path, key)
        except DataError as error:
            say(f"{error}; computed again")
            return None
        with contextlib.suppress(OSError):
            path.touch()  # the time of its last use
        return features

    def put(self, key: str, features: FeatureSet) -> Path | None:
        """Where it lies now; None where it could not be written."""
        try:
            write_features(self.path(key), features, key)
            self.prune(keep=self.path(key))
        except OSError as error:
            say(f"features are not kept: {error}; set TEXTDIFF_CACHE to a folder with room")
            return None
        return self.path(key)

    def prune(self, keep: Path) -> None:
        """Removes those that were not used for longest, but `keep`, while there are too many."""
        files = [(path.stat(), path) for path in self.folder.glob("*.safetensors")]
        total = sum(stat.st_size for stat, _ in files)
        for stat, path in sorted(files, key=lambda each: each[0].st_mtime_ns):
            if total <= self.most_bytes:
                return
            if path != keep:
                path.unlink(missing_ok=True)
                total -= stat.st_size


def open_cache(mode: Literal["auto", "off"], config: DataConfig) -> FeatureCache | None:
    """Beside the other caches of the data; None: off."""
    return FeatureCache(cache_root(config) / "features") if mode == "auto" else None


def say(line: str) -> None:
    print(line, file=sys.stderr)
