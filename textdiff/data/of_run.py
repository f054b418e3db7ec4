"""The data that a run was trained on, so that what is measured of it is measured on these.

config.yaml of the run < what was given besides    a source of its own: only the run's size, resize
                                                   and resample stay
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textdiff.config import build, read_yaml
from textdiff.data.config import DataConfig
from textdiff.data.open import source_kind
from textdiff.errors import DataError, UsageError

RUN_CONFIG = "config.yaml"
PARTS = ("clip", "clean", "vae")  # folders of a run that are models themselves
LOOKS = ("image_size", "resize", "resample")
IN_FOLDERS = ("folder", "drawn", "coco", "karpathy")  # kinds of data


def data_of_run(given: DataConfig, flag: str, folder: str) -> DataConfig:
    """The data that the run in `folder` was trained on, changed by what is set in `given`.

    Args:
        flag: that named the folder.

    Raises:
        UsageError: the folder does not say what it was trained on and `given` names no source, or
            the run's source is not here.
    """
    file = find_config(folder)
    told = "source" in given.model_fields_set
    if file is None:
        if told:
            return given
        raise UsageError(
            f"{flag} {folder} has no {RUN_CONFIG} that says which images it was trained on; name "
            "them: --data path/to/images, --data openmoji, or --config with a run's config.yaml"
        )
    trained = read_data(file)
    overrides = {name: getattr(given, name) for name in given.model_fields_set}
    if told and not same_source(given.source, trained.source):
        looks = trained.model_dump(include=set(LOOKS))
        return build(DataConfig, [(str(file), looks), ("data", overrides)])
    data = build(DataConfig, [(str(file), trained.model_dump()), ("data", overrides)])
    if not told:
        check_source(data, flag, folder)
    return data


def trained_on(folder: str, data: DataConfig) -> bool:
    """Whether a run lies in `folder` that was trained on the source of `data`."""
    file = find_config(folder)
    return file is not None and same_source(read_data(file).source, data.source)


def find_config(folder: str) -> Path | None:
    """config.yaml of the run in `folder`, or of the run that the folder is a part of."""
    path = Path(folder.removeprefix("local-dir:")).expanduser()
    if not path.is_dir():
        return None
    path = path.resolve()
    places = [path, *([path.parent] if path.name in PARTS else [])]
    files = [place / RUN_CONFIG for place in places]
    return next((file for file in files if file.is_file() and "data" in read_yaml(file)), None)


def read_data(file: Path) -> DataConfig:
    """The section `data` of a run's config.yaml. Raises UsageError."""
    section: Any = read_yaml(file)["data"]
    if not isinstance(section, dict):
        raise UsageError(f"{file}: data must be a section, not {section!r}")
    return build(DataConfig, [(f"{file}, data", section)])


def same_source(one: str, other: str) -> bool:
    """Whether both name the same data, as they are written or as paths."""
    paths = [Path(name).expanduser() for name in (one, other)]
    return one == other or (all(p.exists() for p in paths) and paths[0].samefile(paths[1]))


def check_source(data: DataConfig, flag: str, folder: str) -> None:
    """Raises UsageError where the images of a run are not where it found them."""
    try:
        kind = source_kind(data)
    except DataError:
        kind = None
    if kind is None or (kind in IN_FOLDERS and not Path(data.source).expanduser().is_dir()):
        raise UsageError(
            f"{flag} {folder} was trained on '{data.source}', which is not here (a relative path "
            "is read from the current folder); name it: --data path/to/images"
        )
