"""Settings of `textdiff features`."""

from __future__ import annotations

from pydantic import Field, model_validator

from textdiff.config import Settings
from textdiff.data.config import RunData
from textdiff.evaluation.settings import EXTRACTOR, Device, FeatureCache, Limit, Split


class FeaturesSettings(Settings):
    """Which pictures, by what, and where to."""

    features: str = Field(description=EXTRACTOR)
    images: str | None = Field(
        None, description="a folder of captioned pictures, or of what `sample` drew; none: --data"
    )
    data: RunData
    split: Split = Field("all", description="split of --data")
    limit: Limit = None
    out: str = Field(description="write the features here (.safetensors)")
    batch_size: int | None = Field(
        None, ge=1, description="pictures encoded at once; none: 256 for a CLIP, 64 for others"
    )
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"

    @model_validator(mode="after")
    def _one_source(self) -> FeaturesSettings:
        if self.images and "split" in self.model_fields_set:
            raise ValueError("--images is one set of pictures; leave out --split")
        return self
