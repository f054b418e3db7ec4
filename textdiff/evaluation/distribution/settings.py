"""Settings of `textdiff distribution`."""

from __future__ import annotations

from pydantic import Field, model_validator

from textdiff.data.config import RunData
from textdiff.evaluation.settings import (
    EXTRACTOR,
    Device,
    FeatureCache,
    FeaturesFile,
    JsonFile,
    PromptSeed,
    Split,
)
from textdiff.pipeline.config import SamplingConfig

OF_REAL = {"split", "limit"}


class DistributionSettings(SamplingConfig):
    """Protocol: `num_images` pictures of each of `num_prompts` distinct captions of the split,
    chosen by `prompt_seed`, or given ones; against all real pictures of the split, or `limit`."""

    model: str | None = Field(
        None, description="run folder or exported model to draw pictures with"
    )
    images: str | None = Field(
        None, description="or: a folder of pictures, captioned or drawn by `sample`"
    )
    features_file: FeaturesFile = None
    features: str | None = Field(None, description=EXTRACTOR)
    data: RunData
    split: Split = Field("train", description="split of the real pictures, and of the prompts")
    limit: int | None = Field(
        None, ge=2, description="so many real pictures, the first of the split; none: all"
    )
    reference: str | None = Field(
        None, description="a file of features of the real pictures, in place of --data and --split"
    )
    compare_size: int | None = Field(
        None,
        ge=4,
        description="side at which drawn and real pictures are compared; those of a model of "
        "another size are resized to it, as published numbers are; none: that of the drawn ones",
    )
    num_prompts: int = Field(512, ge=2, description="prompts, distinct captions of the split")
    num_images: int = Field(1, ge=1, description="pictures per prompt; 2 or more show diversity")
    prompt_seed: PromptSeed = 0
    training_split: Split | None = Field(
        "train", description="where copies are looked for; none: nowhere"
    )
    held_out_split: Split = Field(
        "val", description="real pictures that say how near to those new ones lie"
    )
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"
    grid: str | None = Field(
        None, description="show drawn pictures above their nearest training pictures here"
    )
    grid_pictures: int = Field(16, ge=1, description="how many, the nearest first")
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name

    @model_validator(mode="after")
    def _complete(self) -> DistributionSettings:
        given = [each for each in (self.model, self.images, self.features_file) if each is not None]
        if len(given) != 1:
            raise ValueError("give one of --model, --images and --features-file")
        if self.features is None and not (self.features_file and self.reference):
            raise ValueError(
                "give --features, what makes the features: a CLIP that took no part in the model, "
                "inception, or the folder of a vision model"
            )
        if self.training_split == self.held_out_split:
            raise ValueError(
                f"training_split and held_out_split are both {self.held_out_split}; pictures that "
                "were trained on say nothing of how near new ones lie"
            )
        if self.reference and (unused := OF_REAL & self.model_fields_set) and not self.model:
            raise ValueError(f"--reference holds the real pictures; leave out --{min(unused)}")
        if self.grid and (self.features_file or self.training_split is None):
            raise ValueError(
                "--grid needs pictures and their nearest training pictures; give "
                "--model or --images, and a --training-split"
            )
        return self
