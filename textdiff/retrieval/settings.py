"""Settings of `textdiff index build|add|remove|info|search`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import RunData
from textdiff.evaluation.settings import Device, FeatureCache, JsonFile, Split

NEAR_DUPLICATES = 0.98  # cosine of features

IndexFolder = Annotated[str, Field(description="folder of the index")]
Images = Annotated[
    list[str],
    Field(
        default_factory=list,
        description="folders of captioned pictures, or of what `sample` drew, besides --data or "
        "instead of it; the flag may be repeated",
    ),
]
SplitOfData = Annotated[Split, Field(description="split of --data")]
ClipOfIndex = Annotated[
    str | None,
    Field(description="the index' CLIP, where it lies elsewhere now; none: where it was"),
]
Approximate = Annotated[
    Literal["auto", "on", "off"],
    Field(
        description="make lists by faiss, so that a search looks at a part of the pictures; auto: "
        "from two million pictures on, where faiss is installed"
    ),
]


class IndexBuildSettings(Settings):
    """A new index of all pictures of one or more sources, by the features of a CLIP."""

    clip: str = Field(description="folder of a CLIP, or MODEL/TAG of open_clip's list")
    data: RunData
    split: SplitOfData = "all"
    images: Images
    out: str = Field(description="folder of the new index")
    approximate: Approximate = "auto"
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"


class IndexAddSettings(Settings):
    """More pictures; those that the index has are left as they are."""

    index: IndexFolder
    data: RunData
    split: SplitOfData = "all"
    images: Images
    clip: ClipOfIndex = None
    approximate: Approximate = "auto"
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"


class IndexRemoveSettings(Settings):
    """Pictures of one source."""

    index: IndexFolder
    source: str | None = Field(
        None, description="their source, as 'index info' names it; none: the only one"
    )
    pictures: list[str] = Field(
        [], description="names of the pictures in their source; none: all of the source"
    )


class IndexInfoSettings(Settings):
    index: IndexFolder
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name


class IndexSearchSettings(Settings):
    """The query is the weighted sum of its parts, each of length 1."""

    index: IndexFolder
    text: list[str] = Field([], description="what the pictures should show")
    picture: list[str] = Field(
        [], description="picture files that they should be like; the flag may be repeated"
    )
    minus: list[str] = Field([], description="texts of what they should not show")
    minus_picture: list[str] = Field([], description="picture files that they should not be like")
    weights: list[Annotated[float, Field(gt=0)]] = Field(
        [],
        description="how much each part counts: texts, then pictures, then minus, then "
        "minus-pictures, in the order given; none: 1 each",
    )
    top: int = Field(20, ge=1, description="pictures, or groups of near duplicates, at most")
    near: float | None = Field(
        NEAR_DUPLICATES,
        gt=0,
        le=1,
        description="cosine of features from which pictures are listed as one; none: each alone",
    )
    exact: bool = Field(
        False, description="look at every picture, even where the index has lists to look up"
    )
    all: bool = Field(False, description="list pictures that do not match too, up to --top")
    clip: ClipOfIndex = None
    device: Device = "auto"
    out: str | None = Field(None, description="write a sheet of the pictures here, as PNG")
    picture_size: int | None = Field(
        None,
        ge=16,
        le=1024,
        description="side of the pictures on the sheet; none: as the CLIP sees them. OpenMoji and "
        "scenes are rendered as a whole for another size, once",
    )
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name
