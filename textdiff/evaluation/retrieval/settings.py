"""Settings of `textdiff retrieval`."""

from __future__ import annotations

from pydantic import Field, model_validator

from textdiff.config import Settings
from textdiff.data.config import RunData
from textdiff.evaluation.settings import (
    Device,
    FeatureCache,
    FeaturesFile,
    JsonFile,
    Limit,
    SearchedSplit,
)


class RetrievalSettings(Settings):
    """Protocol: every image of the split (or the first `limit`) with all of its captions."""

    clip: str = Field(description="folder of a CLIP, or MODEL/TAG of open_clip's list")
    data: RunData
    split: SearchedSplit = "test"
    limit: Limit = None
    features_file: FeaturesFile = None
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name

    @model_validator(mode="after")
    def _one_source(self) -> RetrievalSettings:
        given = {"data", "split", "limit"} & self.model_fields_set
        if self.features_file and given:
            raise ValueError(f"--features-file holds the images; leave out --{sorted(given)[0]}")
        return self
