"""Karpathy's splits of COCO and Flickr30k (caption_datasets.zip of
https://cs.stanford.edu/people/karpathy/deepimagesent).

    dataset_coco.json        train2014/ val2014/      test: 5,000 pictures, all in val2014/
    dataset_flickr30k.json   flickr30k-images/        test: 1,000 pictures
        {"dataset": "coco",
         "images": [{"filepath": "val2014", "filename": "COCO_val2014_000000391895.jpg",
                     "split": "test", "sentences": [{"raw": "..."}, ...]}, ...]}

Flickr30k's file states no `filepath`. restval, the rest of val2014, is trained on. Pictures and
their captions, five or a few more of each, stay in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textdiff.data.captions_file import caption_of, find_captions, read_lists
from textdiff.data.config import DataConfig
from textdiff.data.entries import Split
from textdiff.data.json_captions import JsonCaptions, Row
from textdiff.data.survey import Flaw, FlawedError
from textdiff.errors import DataError

FILES = ("dataset_coco.json", "dataset_flickr30k.json")
LAYOUT = (
    "dataset_coco.json with the pictures in train2014/ and val2014/, or dataset_flickr30k.json "
    "with those in flickr30k-images/"
)
CONTENT = (
    "Karpathy's: {'dataset', 'images': [{'filepath', 'filename', 'split', 'sentences': [{'raw'}, "
    "...]}, ...]}"
)
FOLDERS = {"flickr30k": "flickr30k-images"}  # of files that do not state it
SPLITS: dict[str, Split] = {"train": "train", "restval": "train", "val": "val", "test": "test"}


def open_karpathy(config: DataConfig) -> JsonCaptions:
    """Raises DataError where the folder has another layout."""
    file = find_captions(config, FILES, LAYOUT)
    return JsonCaptions(config, file, karpathy_rows(file))


def karpathy_rows(file: Path) -> Iterator[Row | Flaw]:
    """A row of each picture. Raises DataError."""
    content = read_lists(file, ["images"], CONTENT)
    folder = FOLDERS.get(str(content.get("dataset")))
    for number, image in enumerate(content["images"]):
        if folder is None and not (isinstance(image, dict) and "filepath" in image):
            raise DataError(
                f"{file}, images[{number}] has no 'filepath', and its 'dataset' is none whose "
                f"folder is known ({', '.join(FOLDERS)}); it should be {CONTENT}"
            )
        try:
            yield _row(image, folder)
        except FlawedError as error:
            yield error.at(f"{file}, images[{number}]")


def _row(image: Any, folder: str | None) -> Row:
    """folder: of pictures that do not state theirs. Raises FlawedError."""
    if not isinstance(image, dict):
        raise FlawedError("not an image", f"needs an object as in {CONTENT}")
    name, parent = image.get("filename"), image.get("filepath", folder)
    if not isinstance(name, str) or not name.strip() or not isinstance(parent, str):
        raise FlawedError("no file name", "needs the name of a picture under 'filename'")
    split = image.get("split")
    if not isinstance(split, str) or split not in SPLITS:
        raise FlawedError("unknown split", f"unknown split {split!r}; known: {', '.join(SPLITS)}")
    sentences = image.get("sentences")
    if not isinstance(sentences, list):
        raise FlawedError("no caption", "needs a list under 'sentences'")
    captions = [caption_of(sentence, "raw") for sentence in sentences]
    return Row(f"{parent}/{name}", tuple(filter(None, captions)), SPLITS[split])
