"""Stand-ins for published data sets: a few small JPEGs, and captions, in exactly their layouts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.helpers.shapes import COLOURS, SHAPES, draw_shape

KINDS = [(colour, shape) for colour in COLOURS for shape in SHAPES]
SIZES = ((20, 16), (16, 24))  # neither is square


def captions_of(number: int, count: int = 5) -> list[str]:
    """`count` captions of picture `number`, no two of any pictures alike."""
    colour, shape = KINDS[number]
    words = ("a", "one", "the", "this", "some", "that", "any")
    return [f"{word} {colour} {shape}" for word in words[:count]]


def write_picture(path: Path, number: int) -> None:
    colour, shape = KINDS[number]
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_shape(colour, shape).resize(SIZES[number % 2]).save(path, quality=95)


def coco_name(number: int, part: str = "val2014") -> str:
    return f"COCO_{part}_{number:012d}.jpg"


def coco_content(numbers: Sequence[int], part: str = "val2014") -> dict[str, Any]:
    """What captions_PART.json holds; annotations of all pictures mixed, as in the original."""
    return {
        "info": {"year": 2014},
        "images": [{"id": n, "file_name": coco_name(n, part), "license": 1} for n in numbers],
        "annotations": [
            {"id": 100 * n + k, "image_id": n, "caption": captions_of(n)[k] + " \n"}
            for k in range(5)
            for n in numbers
        ],
    }


def write_coco(root: Path, numbers: Sequence[int] = range(6), part: str = "val2014") -> Path:
    """annotations/captions_val2014.json and val2014/, of the `numbers` of KINDS."""
    for number in numbers:
        write_picture(root / part / coco_name(number, part), number)
    write_json(root / "annotations" / f"captions_{part}.json", coco_content(numbers, part))
    return root


def karpathy_images(splits: Sequence[str], captions: int = 6) -> list[dict[str, Any]]:
    """Of dataset_coco.json: an image of each of the `splits`, which lies where COCO has it."""
    images = []
    for number, split in enumerate(splits):
        part = "train2014" if split == "train" else "val2014"
        sentences = [
            {"raw": text, "tokens": text.split()} for text in captions_of(number, captions)
        ]
        images.append(
            {
                "filepath": part,
                "filename": coco_name(number, part),
                "split": split,
                "sentences": sentences,
                "imgid": number,
                "cocoid": number,
            }
        )
    return images


COCO_SPLITS = ("train", "restval", "test", "test", "val", "test")
FLICKR_SPLITS = ("train", "test", "val", "test", "test")


def write_karpathy_coco(root: Path, *, train: bool = False) -> Path:
    """dataset_coco.json, six captions each, val2014/ and, if `train`, train2014/."""
    images = karpathy_images(COCO_SPLITS)
    for number, image in enumerate(images):
        if train or image["filepath"] == "val2014":
            write_picture(root / image["filepath"] / image["filename"], number)
    write_json(root / "dataset_coco.json", {"dataset": "coco", "images": images})
    return root


def write_karpathy_flickr(root: Path) -> Path:
    """dataset_flickr30k.json, five captions each, and flickr30k-images/."""
    images = karpathy_images(FLICKR_SPLITS, captions=5)
    for number, image in enumerate(images):
        del image["filepath"], image["cocoid"]
        image["filename"] = f"{1000092795 + number}.jpg"
        write_picture(root / "flickr30k-images" / image["filename"], number)
    write_json(root / "dataset_flickr30k.json", {"images": images, "dataset": "flickr30k"})
    return root


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), "utf-8")
    return path
