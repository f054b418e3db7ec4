"""Settings that evaluations share, with one name and description each. Imports nothing heavy, so
that `--help` is quick."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Model = Annotated[str, Field(description="run folder or exported model")]
Split = Literal["train", "val", "test", "all"]
PromptSplit = Annotated[Split, Field(description="split whose captions are the prompts")]
PromptSeed = Annotated[int, Field(description="which captions are the prompts")]
SearchedSplit = Annotated[Split, Field(description="split that is searched")]
Limit = Annotated[
    int | None,
    Field(ge=1, description="look at so many images of the split, the first ones; none: at all"),
]
ImageSeed = Annotated[int, Field(description="which images of the split, where limit leaves some")]
FeatureCache = Annotated[
    Literal["auto", "off"],
    Field(
        description="keep features in the cache folder, and read them where they are in it; off: "
        "compute them"
    ),
]
EXTRACTOR = (
    "what makes the features: a CLIP (folder or MODEL/TAG), inception[:FILE], dinov2:FOLDER, or "
    "the folder of a vision model of transformers or timm"
)
FeaturesFile = Annotated[
    str | None,
    Field(description="or: a file of features that 'textdiff features' or the cache wrote"),
]
Device = Annotated[str, Field(description="cpu, cuda, mps; auto: the fastest there is")]
JsonFile = Annotated[str | None, Field(description="write numbers and protocol here")]
