"""Settings of `textdiff prompt-following`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from textdiff.data.config import RunData
from textdiff.evaluation.settings import (
    Device,
    FeatureCache,
    JsonFile,
    Model,
    PromptSeed,
    PromptSplit,
)
from textdiff.pipeline.config import NAMES_BUT_JUDGE, SamplingConfig


class PromptFollowingSettings(SamplingConfig):
    """Protocol: `num_prompts` distinct captions of the split, chosen by `prompt_seed`."""

    short_names: ClassVar[Mapping[str, str]] = NAMES_BUT_JUDGE

    model: Model
    judge: str = Field(description="a CLIP that took no part in training, guiding or choosing")
    data: RunData
    split: PromptSplit = "train"
    num_prompts: int = Field(128, ge=2, description="N, prompts and pictures")
    prompt_seed: PromptSeed = 0
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"
    grid: str | None = Field(None, description="draw the first pictures with their prompts here")
    grid_pictures: int = Field(32, ge=1, description="how many of them")
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name
