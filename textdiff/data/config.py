"""Which captioned images to use, and how they become squares of one size."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from textdiff.config import Settings
from textdiff.errors import UsageError

Level = Literal["pairs", "counts", "relations", "scenes"]
Placing = Literal["free", "large"]
Style = Literal["colour", "lines"]
Resize = Literal["crop", "pad", "stretch"]
Resample = Literal["bicubic", "lanczos", "bilinear", "box", "nearest"]


class DataConfig(Settings):
    source: str = Field(
        "openmoji",
        min_length=1,
        description="'openmoji', 'scenes', an image folder, parquet or tar files "
        "('data/*.parquet', 'shards/{000..003}.tar'), or a Hugging Face name",
    )
    kind: Literal[
        "auto", "openmoji", "scenes", "folder", "drawn", "hf", "tars", "coco", "karpathy"
    ] = Field(
        "auto",
        description="what `source` is; auto looks at it; drawn: pictures of `sample`, which hold "
        "their prompts; coco, karpathy: a folder in the layout of COCO's captions, of Karpathy's "
        "splits of COCO and Flickr30k",
    )
    annotations: str | None = Field(
        None,
        min_length=1,
        description="coco and karpathy only: the JSON file of the captions, from the folder on; "
        "none: annotations/captions_val2014.json; dataset_coco.json or dataset_flickr30k.json",
    )
    image_size: int = Field(
        32,
        ge=4,
        description="side of the square images, in pixels; where a CLIP looks at them alone, its "
        "own size unless this is given",
    )
    subset: Literal["all", "things", "nature"] = Field(
        "all",
        description="openmoji only; things: no people, no hands, no flags; "
        "nature: plants, food and animals",
    )
    style: Style = Field(
        "colour",
        description="openmoji only; lines: outlines alone, in pure black and white (one drawing of "
        "several emoji, e.g. the hearts, keeps to one split)",
    )
    skin_tones: bool = Field(False, description="openmoji only: with the skin-tone variants")
    level: Level = Field(
        "pairs",
        description="scenes only; pairs: one object in one colour on white; counts: one to three "
        "equal ones; relations: two, one left of, right of, above or below the other; scenes: all "
        "of it, on coloured backgrounds",
    )
    objects: int = Field(
        24, ge=2, description="scenes only: how many kinds of objects, the first of a fixed list"
    )
    object_names: list[str] = Field(
        [], description="scenes only: these kinds of objects instead, by name"
    )
    placing: Placing = Field(
        "free",
        description="scenes only; free: things of two or three sizes; large: of one size, which "
        "leaves a single one hardly any room",
    )
    wordings: int = Field(
        4, ge=1, description="scenes only: captions of a scene at most; 1: that of prompts alone"
    )
    scenes: int = Field(4096, ge=1, description="scenes only: how many to train on")
    converse: bool = Field(
        False,
        description="scenes only, with relations: every second training scene is the one before "
        "with its things exchanged, and comes in the same batch: a CLIP that reads which things "
        "are there, and not where, cannot tell the two apart",
    )
    held_out: float = Field(
        0.125,
        gt=0,
        lt=1,
        description="scenes only: share of the (object, colour) pairs and (object, relation, "
        "object) triples that no training scene has; the test split is made of them",
    )
    seed: int = Field(0, ge=0, description="scenes only: of what is drawn and what is held out")
    max_images: int | None = Field(
        None, ge=1, description="use this many images, chosen by hash before the split"
    )
    val_fraction: float = Field(
        0.05, ge=0, lt=1, description="share held out for validation where the data have no split"
    )
    test_fraction: float = Field(
        0.05, ge=0, lt=1, description="share held out for testing where the data have no split"
    )
    max_captions: int | None = Field(
        None, ge=1, description="use this many captions of each image, the first; none: all"
    )
    image_column: str | None = Field(
        None,
        description="column of the images, or of their file names; in tars the extension of the "
        "pictures; none: the usual names",
    )
    caption_column: str | None = Field(
        None,
        description="column of the captions; in tars one of the .json, or txt; none: the usual "
        "names",
    )
    need_captions: bool = Field(
        True,
        description="false: pictures without captions are used too, each with the empty caption; "
        "what looks at pictures alone sets it",
    )
    label_column: str | None = Field(
        None,
        description="column of the class that a picture shows, by name, id or number; in tars one "
        "of the .json, or cls; none: labels are not read",
    )
    resize: Resize = Field(
        "crop", description="how a picture becomes square: centre crop, border, or distorted"
    )
    resample: Resample = Field(
        "bicubic", description="resize filter; all but nearest are antialiased"
    )
    pad_level: int = Field(
        255, ge=0, le=255, description="resize pad: grey level of the border, 255 is white"
    )
    min_side: int = Field(8, ge=1, description="images with a shorter side are rejected")
    max_pixels: int = Field(
        89_000_000,
        ge=1,
        le=178_000_000,
        description="images whose header states more pixels are rejected before decoding",
    )
    max_bad_fraction: float = Field(
        0.01,
        ge=0,
        le=1,
        description="stop when more than this share of the images, or of the rows and files that "
        "name them, is unusable; up to it they are skipped and counted",
    )
    outside_files: bool = Field(
        False,
        description="follow links, and paths in metadata or parquet, out of the data's folder",
    )
    cache_dir: str | None = Field(
        None,
        description="rendered OpenMoji and resized pictures go here; none: $TEXTDIFF_CACHE or "
        "~/.cache/textdiff",
    )
    cache: Literal["auto", "on", "off"] = Field(
        "auto",
        description="keep resized pictures on disk while training, so that later epochs do not "
        "decode; auto: where that saves time and takes less than half of the free space",
    )

    @model_validator(mode="after")
    def _check(self) -> DataConfig:
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must be below 1")
        if self.converse and self.level in ("pairs", "counts"):
            raise ValueError(
                f"converse with level {self.level}, whose scenes have no relation; give level "
                "relations or scenes"
            )
        return self

    @property
    def group_size(self) -> int:
        """Of neighbours in the training split that always come in one batch."""
        return 2 if self.converse else 1


def fit_data(data: DataConfig, size: int, origin: str) -> DataConfig:
    """`data` with pictures of `size`, which `origin` has, unless another size was asked for.

    Raises:
        UsageError: it was.
    """
    if "image_size" in data.model_fields_set and data.image_size != size:
        raise UsageError(
            f"--data.image-size {data.image_size}, but {origin} has pictures of {size}x{size}; "
            f"give {size} or leave it out"
        )
    return data.model_copy(update={"image_size": size})


# Of a command that looks at the data of a run that it is given: see `data.of_run`.
RunData = Annotated[
    DataConfig,
    Field(default_factory=DataConfig, json_schema_extra={"default_text": "as the run was trained"}),
]
