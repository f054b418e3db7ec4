"""Settings of `textdiff composition`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from textdiff.data.config import RunData
from textdiff.evaluation.settings import Device, FeatureCache, JsonFile, PromptSeed
from textdiff.pipeline.config import NAMES_BUT_JUDGE, SamplingConfig

SceneSplit = Literal["train", "val", "test"]


class CompositionSettings(SamplingConfig):
    """Protocol: `num_prompts` distinct captions of each split, chosen by `prompt_seed`, and
    `num_images` pictures of each."""

    short_names: ClassVar[Mapping[str, str]] = {
        **NAMES_BUT_JUDGE,
        "judge": "judges",
    }

    model: str | None = Field(
        None, description="run folder or exported model to draw pictures with"
    )
    images: str | None = Field(
        None,
        description="or: a folder of pictures that `sample` drew for captions of --data, which "
        "hold their prompts",
    )
    judges: list[str] = Field(
        [], description="CLIPs that took no part: their R@1 among the prompts besides"
    )
    data: RunData
    split: list[SceneSplit] = Field(
        ["val", "test"],
        min_length=1,
        description="whose captions are the prompts; val: new scenes of combinations that training "
        "has, test: combinations that it never has",
    )
    num_prompts: int = Field(64, ge=2, description="prompts of each split, at most")
    num_images: int = Field(4, ge=1, description="pictures per prompt")
    prompt_seed: PromptSeed = 0
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"
    grid: str | None = Field(
        None, description="draw pictures, right and wrong ones, with what was read here"
    )
    grid_pictures: int = Field(8, ge=1, description="how many of each")
    overview: str | None = Field(
        None,
        description="draw prompts of each split, seen ones above, and one prompt from eight seeds "
        "here (needs --model)",
    )
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name

    @model_validator(mode="after")
    def _one_kind_of_picture(self) -> CompositionSettings:
        if (self.model is None) == (self.images is None):
            raise ValueError("give either --model or --images")
        if self.overview and self.model is None:
            raise ValueError("overview draws one prompt eight times: give --model, not --images")
        if len(set(self.split)) < len(self.split):
            raise ValueError(f"split {' '.join(self.split)} names one twice")
        return self
