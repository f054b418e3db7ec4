"""Settings of `textdiff unclip`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, model_validator

from textdiff.data.config import RunData
from textdiff.evaluation.settings import (
    Device,
    FeatureCache,
    JsonFile,
    PromptSeed,
    PromptSplit,
    Split,
)
from textdiff.pipeline.config import NAMES_BUT_JUDGE, SamplingConfig

# of the section `unclip`: where an embedding comes from, which is what is compared
COMPARED = ("prior", "share", "text_from", "text_to", "keep_noise")


class UnclipEvalSettings(SamplingConfig):
    """Protocol: `num_prompts` distinct captions of the split, chosen by `prompt_seed`, and
    `num_images` pictures of each, which every route draws from the same noise."""

    short_names: ClassVar[Mapping[str, str]] = {
        **{short: key for short, key in NAMES_BUT_JUDGE.items() if short not in COMPARED},
        "judge": "judges",
    }

    decoder: str = Field(
        description="run folder or exported model of an unCLIP decoder (train --embeddings)"
    )
    priors: list[str] = Field(
        [], description="folders of priors that turn prompts into embeddings; a route each"
    )
    model: str | None = Field(
        None,
        description="a model that draws from text alone, to compare with: of pictures as large, "
        "and best of the decoder's size and training time",
    )
    judges: list[str] = Field(
        min_length=1, description="CLIPs that took no part in training or drawing"
    )
    data: RunData
    split: PromptSplit = "test"
    num_prompts: int = Field(64, ge=2, description="prompts, at most")
    num_images: int = Field(4, ge=1, description="pictures per prompt; 2 or more show diversity")
    prompt_seed: PromptSeed = 0
    reference_split: Split = Field(
        "train", description="split of the real pictures to be close to, none of a prompt's"
    )
    limit: int = Field(2048, ge=2, description="look at so many of these real pictures")
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"
    grid: str | None = Field(
        None, description="draw a picture of each of the first prompts here, a row for each route"
    )
    grid_pictures: int = Field(8, ge=1, description="how many")
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name

    @model_validator(mode="after")
    def _check_compared(self) -> UnclipEvalSettings:
        given = [name for name in COMPARED if name in self.unclip.model_fields_set]
        if given:
            raise ValueError(
                f"unclip.{given[0]}: where embeddings come from is what is compared; give priors"
            )
        for name in ("priors", "judges"):
            folders = getattr(self, name)
            if len(set(folders)) < len(folders):
                raise ValueError(f"{name} {' '.join(folders)} names one twice")
        return self
