"""Settings of `textdiff classify`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from textdiff.config import Settings
from textdiff.data.config import RunData
from textdiff.evaluation.settings import Device, FeatureCache, JsonFile, SearchedSplit

TruthKind = Literal["auto", "folder", "sorted-folders", "label", "colour", "object", "none"]


class ClassifySettings(Settings):
    """Protocol: every picture of the split among all classes; a class is the mean of its prompts,
    which are the templates filled with its name."""

    clip: str = Field(description="folder of a CLIP, or MODEL/TAG of open_clip's list")
    data: RunData
    split: SearchedSplit | None = Field(
        None,
        description="split that is classified; none: test of data that state one or that the CLIP "
        "was trained on, else all",
    )
    classes: str | None = Field(
        None,
        description="file of classes, a line each: name, or id, tab and name; 'imagenet': "
        "open_clip's names; none: those that the truth names",
    )
    templates: str | None = Field(
        None,
        description="file of prompts, a line each, with {} for the class; or 'plain' (a photo of a "
        "{}.), 'name' ({}), 'simple' or 'imagenet' (open_clip's 7 and 80); none: plain, on scenes "
        "the wording of their captions",
    )
    truth: TruthKind = Field(
        "auto",
        description="what says which class is right; folder: the one that holds the picture, by "
        "name or id of the class; sorted-folders: these in order are the classes, as ImageNet's "
        "are; label: data.label-column; colour, object: facts of scenes; auto: label-column, or "
        "folders that are named like classes (numbers must be asked for), or none",
    )
    top: int = Field(5, ge=1, description="best classes of each picture that are listed")
    predictions: str | None = Field(
        None, description="write the best classes of each picture here, a line of JSON each"
    )
    confusion: str | None = Field(
        None, description="draw what is taken for what here, as PNG; needs a truth"
    )
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name

    @model_validator(mode="after")
    def _labels_have_a_column(self) -> ClassifySettings:
        if self.truth == "label" and self.data.label_column is None:
            raise ValueError("--truth label needs --data.label-column, which holds the classes")
        if self.truth == "none" and self.confusion:
            raise ValueError("--confusion needs a truth; leave out --truth none, or --confusion")
        return self
