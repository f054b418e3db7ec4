"""Which setting reads a folder that is no plain image folder, by the names of its files."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from textdiff.data.coco import CAPTIONS as COCO_DEFAULT
from textdiff.data.decode import SUFFIXES
from textdiff.data.karpathy import FILES as KARPATHY_FILES

COCO_CAPTIONS = "annotations/captions_*.json"


def published_layout(files: Collection[str]) -> str | None:
    """A sentence for the captions of COCO or of Karpathy's splits; None where there are none.

    Args:
        files: names, from the folder on.
    """
    if karpathy := sorted(set(KARPATHY_FILES) & set(files)):
        return _reads(karpathy[0], "Karpathy's splits", "--data.kind karpathy")
    coco = sorted(name for name in files if fnmatchcase(name, COCO_CAPTIONS))
    if COCO_DEFAULT in coco:
        return _reads(COCO_DEFAULT, "COCO's captions", "--data.kind coco")
    if coco:
        setting = f"--data.kind coco --data.annotations {coco[0]}"
        return _reads(coco[0], "COCO's captions", setting)
    return None


def why_no_images(root: Path, files: Collection[str]) -> str:
    """What else a folder without images holds, or which images are known."""
    suffixes = {PurePosixPath(name).suffix.lower() for name in files}
    if layout := published_layout(files):
        return layout
    if ".parquet" in suffixes:
        return f"for its parquet files give '{root}/**/*.parquet'"
    if ".tar" in suffixes:
        return f"for its tar files give '{root}/**/*.tar'"
    return f"known kinds: {', '.join(sorted(SUFFIXES))}"


def _reads(file: str, content: str, setting: str) -> str:
    return f"{file} holds {content}, which {setting} reads"
