"""What the commands are given: pictures, and the index' CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textdiff.clip import ClipModel
from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.data.of_run import data_of_run
from textdiff.errors import UsageError
from textdiff.evaluation.features.extractor import Extractor
from textdiff.evaluation.pictures import open_pictures


def given_sources(
    extractor: Extractor, clip: str, data: DataConfig, split: str, images: Sequence[str]
) -> list[CaptionedImages]:
    """Pictures as the index' CLIP sees them, with captions or without: `data`, unless only folders
    of `images` were named, and these.

    Raises:
        UsageError: no source was named, and the CLIP does not say on what it was trained.
        DataError: a source that cannot be used.
    """
    sources = []
    if "source" in data.model_fields_set or not images:
        config = data_of_run(data, "--clip", clip)
        if "need_captions" not in data.model_fields_set:
            config = config.model_copy(update={"need_captions": False})
        sources.append(open_data(extractor.prepared(config), split))
    config = extractor.prepared(data)
    return sources + [open_pictures(folder, config, captioned=False) for folder in images]


def load_clip(name: str, device: str, index: str | None = None) -> ClipModel:
    """Frozen, on `device`. index: that names the CLIP, where the user did not.

    Raises:
        UsageError, CheckpointError: there is none, or it cannot be used.
    """
    if index is not None and Path(name).is_absolute() and not Path(name).is_dir():
        raise UsageError(f"the CLIP of the index {index}, {name}, is not there; name it: --clip")
    return ClipModel.load(name).freeze().to(device)


def located_clip(name: str) -> str:
    """A folder as a path that holds in any other, a name of open_clip's list as it is."""
    folder = Path(name.removeprefix("local-dir:")).expanduser()
    return str(folder.resolve()) if folder.is_dir() else name
