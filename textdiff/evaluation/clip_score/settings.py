"""Settings of `textdiff clip-score`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, model_validator

from textdiff.data.config import RunData
from textdiff.evaluation.settings import (
    Device,
    FeatureCache,
    FeaturesFile,
    JsonFile,
    PromptSeed,
    PromptSplit,
)
from textdiff.pipeline.config import NAMES_BUT_JUDGE, SamplingConfig


class ClipScoreSettings(SamplingConfig):
    """Protocol: one picture per prompt; CLIP-S, of weight 2.5, is shown beside the CLIP score."""

    short_names: ClassVar[Mapping[str, str]] = {**NAMES_BUT_JUDGE, "clip": "judge"}

    model: str | None = Field(
        None, description="run folder or exported model to draw pictures with"
    )
    images: str | None = Field(
        None,
        description="or: a folder of captioned images to score, or of pictures that `sample` drew, "
        "which hold their prompts",
    )
    features_file: FeaturesFile = None
    judge: str | None = Field(
        None, description="CLIP that judges; none: the model's own, which flatters it"
    )
    weight: float = Field(
        100.0, gt=0, description="of the cosine in the CLIP score; 100: torchmetrics"
    )
    data: RunData
    split: PromptSplit = "train"
    num_prompts: int = Field(128, ge=1, description="prompts and pictures")
    prompt_seed: PromptSeed = 0
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name

    @model_validator(mode="after")
    def _one_kind_of_picture(self) -> ClipScoreSettings:
        given = [each for each in (self.model, self.images, self.features_file) if each is not None]
        if len(given) != 1:
            raise ValueError("give one of --model, --images and --features-file")
        if self.model is None and not self.judge:
            flag = "--images" if self.images else "--features-file"
            raise ValueError(f"{flag} needs --judge, the CLIP that judges")
        return self
