"""Settings of `textdiff report`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from textdiff.data.config import RunData
from textdiff.evaluation.settings import (
    EXTRACTOR,
    Device,
    FeatureCache,
    JsonFile,
    PromptSeed,
    Split,
)
from textdiff.pipeline.config import NAMES_BUT_JUDGE, SamplingConfig


class ReportSettings(SamplingConfig):
    """Protocol: `num_images` pictures of each of `num_prompts` distinct captions of every split,
    chosen by `prompt_seed`, are drawn once; all evaluations judge the same ones."""

    short_names: ClassVar[Mapping[str, str]] = {**NAMES_BUT_JUDGE, "judge": "judges"}

    run: str = Field(
        description="run folder of train, train-clip, finetune-clip or train-vae, or an exported "
        "model"
    )
    judges: list[str] = Field(
        [],
        description="CLIPs that took no part in training: CLIP score and prompt following by each; "
        "none: the CLIP score by the model's own, which flatters it",
    )
    features: str | None = Field(
        None,
        description=f"{EXTRACTOR}; for the distribution; none: the first judge, else the model's "
        "own CLIP",
    )
    data: RunData
    split: list[Split] | None = Field(
        None,
        min_length=1,
        description="whose captions are the prompts; none: val and test where the data state what "
        "is in their pictures, else train; of a CLIP or a VAE val and test",
    )
    num_prompts: int = Field(64, ge=2, description="prompts of each split, at most")
    num_images: int = Field(2, ge=1, description="pictures per prompt; 2 or more show diversity")
    prompt_seed: PromptSeed = 0
    reference_split: Split = Field(
        "train", description="real pictures that the distribution of drawn ones is compared with"
    )
    limit: int | None = Field(
        None,
        ge=2,
        description="so many of these real pictures, the first; none: all; of a VAE: of each "
        "split; none: 8,192",
    )
    examples: int = Field(8, ge=1, description="pictures of each kind that are shown, at most")
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"
    out: str | None = Field(None, description="the page; none: report.html in the run folder")
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name

    @property
    def page(self) -> Path:
        """Where the page goes."""
        return Path(self.out) if self.out else Path(self.run).expanduser() / "report.html"

    @model_validator(mode="after")
    def _each_split_once(self) -> ReportSettings:
        if self.split and len(set(self.split)) < len(self.split):
            raise ValueError(f"split {' '.join(self.split)} names one twice")
        return self
