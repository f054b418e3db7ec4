"""What is in an index."""

from __future__ import annotations

from dataclasses import dataclass

from textdiff.errors import TextdiffError
from textdiff.evaluation.features.extractor import ExtractorProtocol
from textdiff.retrieval.index import Index
from textdiff.retrieval.manifest import Calibration, IndexedSource, Threshold
from textdiff.retrieval.sources import open_source


@dataclass(frozen=True)
class SourceInfo:
    """pictures: in the index. source: as settings call it. trouble: why it cannot be opened; None:
    it can. changed: since pictures of it were last added."""

    name: str
    pictures: int
    source: str
    trouble: str | None
    changed: bool


@dataclass(frozen=True)
class IndexInfo:
    """pictures: that are there. removed: rows that are not. size: of the files, in bytes."""

    index: str
    pictures: int
    removed: int
    shards: int
    size: int
    clip: str
    extractor: ExtractorProtocol
    calibration: Calibration | None
    sources: list[SourceInfo]


def info_of(index: Index) -> IndexInfo:
    """Opens every source that has pictures in the index."""
    manifest = index.manifest
    counts = index.pictures_by_source()
    return IndexInfo(
        index=str(index.path),
        pictures=len(index),
        removed=len(index.rows) - len(index),
        shards=len(manifest.shards),
        size=sum(shard.size for shard in manifest.shards),
        clip=manifest.clip,
        extractor=manifest.extractor,
        calibration=manifest.calibration,
        sources=[
            _source_info(source, count)
            for source, count in zip(manifest.sources, counts, strict=True)
            if count
        ],
    )


def _source_info(source: IndexedSource, pictures: int) -> SourceInfo:
    trouble, changed = None, False
    try:
        changed = open_source(source).data.fingerprint != source.fingerprint
    except TextdiffError as error:
        trouble = str(error)
    return SourceInfo(source.name, pictures, source.settings["source"], trouble, changed)


def facts_of(info: IndexInfo) -> list[tuple[str, str]]:
    """Name and value of each, to be printed."""
    calibration = info.calibration or Calibration(0, None, None)
    extractor = info.extractor
    shards = f"{info.shards} shard{'s' * (info.shards != 1)}"
    facts = [
        ("pictures", f"{info.pictures:,}" + (f", {info.removed:,} removed" * bool(info.removed))),
        (
            "files",
            f"{shards}, {info.size / 2**20:,.1f} MiB, all as they were written",
        ),
        ("CLIP", f"{info.clip} (weights {extractor.weights})"),
        ("features", f"{extractor.dim} numbers, of {extractor.preprocessing.image_size} pixels"),
        ("a text matches", _said(calibration.text, "texts")),
        ("a picture matches", _said(calibration.picture, "pictures")),
    ]
    return facts + [(f"source {each.name}", _state(each)) for each in info.sources]


def _said(threshold: Threshold | None, queries: str) -> str:
    if threshold is None:
        return "unknown: too few pictures to tell"
    return (
        f"above {threshold.value:.3f}, where {threshold.quantile:.0%} of {threshold.queries} "
        f"{queries} have no picture that is unrelated to them"
    )


def _state(source: SourceInfo) -> str:
    state = "changed since" if source.changed else "as it was"
    return f"{source.pictures:,} pictures; {source.trouble or state} ({source.source})"
