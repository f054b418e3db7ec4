"""COCO as its captions are published (https://cocodataset.org/#format-data).

    val2014/COCO_val2014_000000000042.jpg
    annotations/captions_val2014.json
        {"images": [{"id": 42, "file_name": "COCO_val2014_000000000042.jpg"}, ...],
         "annotations": [{"image_id": 42, "caption": "..."}, ...]}

captions_NAME.json is of the pictures in NAME/, which says their split too: train2014, val2017. The
captions of a picture stay in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textdiff.data.captions_file import caption_of, find_captions, read_lists
from textdiff.data.config import DataConfig
from textdiff.data.json_captions import JsonCaptions, Row
from textdiff.data.split_names import split_of_name
from textdiff.data.survey import Flaw, FlawedError

CAPTIONS = "annotations/captions_val2014.json"
LAYOUT = f"{CAPTIONS} and the pictures in val2014/"
CONTENT = (
    "COCO's captions: {'images': [{'id', 'file_name'}, ...], 'annotations': [{'image_id', "
    "'caption'}, ...]}"
)


def open_coco(config: DataConfig) -> JsonCaptions:
    """Raises DataError where the folder has another layout."""
    file = find_captions(config, [CAPTIONS], LAYOUT)
    return JsonCaptions(config, file, coco_rows(file))


def coco_rows(file: Path) -> Iterator[Row | Flaw]:
    """A row of each picture; flaws of captions without one. Raises DataError."""
    content = read_lists(file, ["images", "annotations"], CONTENT)
    captions: dict[int | str, list[str]] = {}
    names: dict[int | str, str] = {}
    for number, image in enumerate(content["images"]):
        where = f"{file}, images[{number}]"
        try:
            key, name = _key(image, "id"), _file_name(image)
        except FlawedError as error:
            yield error.at(where)
            continue
        if key in names:
            yield Flaw(where, "listed twice", f"id {key} is that of {names[key]} already")
            continue
        names[key], captions[key] = name, []
    for number, annotation in enumerate(content["annotations"]):
        try:
            key, text = _key(annotation, "image_id"), caption_of(annotation, "caption")
            if key not in names:
                detail = f"image_id {key} is that of none of its images"
                raise FlawedError("caption of an absent picture", detail)
        except FlawedError as error:
            yield error.at(f"{file}, annotations[{number}]")
            continue
        if text:
            captions[key].append(text)
    folder = file.stem.removeprefix("captions_")
    split = split_of_name(folder)
    for key, name in names.items():
        yield Row(f"{folder}/{name}", tuple(captions[key]), split)


def _key(row: Any, name: str) -> int | str:
    value = row.get(name) if isinstance(row, dict) else None
    if not isinstance(value, (int, str)):
        raise FlawedError(f"no {name}", f"needs a number under '{name}'")
    return value


def _file_name(image: dict[str, Any]) -> str:
    name = image.get("file_name")
    if not isinstance(name, str) or not name.strip():
        raise FlawedError("no file name", "needs the name of a picture under 'file_name'")
    return name
