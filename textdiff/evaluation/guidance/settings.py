"""Settings of `textdiff guidance`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from textdiff.data.config import RunData
from textdiff.evaluation.settings import Device, FeatureCache, PromptSeed, PromptSplit, Split
from textdiff.pipeline.config import SamplingConfig

Scale = Annotated[float, Field(ge=0)]


class GuidanceSettings(SamplingConfig):
    """Protocol: `num_prompts` distinct captions of the split, chosen by `prompt_seed`, and as many
    pictures of each. `guidance_scale` and `clip_guidance_scale` are what is swept."""

    short_names: ClassVar[Mapping[str, str]] = {
        **SamplingConfig.short_names,
        "evaluators": "judges",
        "images_per_prompt": "num_images",
    }

    model: str | None = Field(None, description="run folder or exported model")
    judges: list[str] = Field(
        [], description="two or more CLIPs that took no part in training or guiding the model"
    )
    scales: list[Scale] = Field(
        [1.0, 1.5, 2.5, 4.0], min_length=1, description="classifier-free guidance; 1 is off"
    )
    clip_scales: list[Scale] = Field(
        [0.0, 1.0, 2.0, 5.0],
        min_length=1,
        description="guidance by CLIP, each with each of the former; 0 is off",
    )
    data: RunData
    split: PromptSplit = "train"
    num_prompts: int = Field(128, ge=2, description="N, prompts")
    num_images: int = Field(1, ge=1, description="pictures per prompt")
    prompt_seed: PromptSeed = 0
    reference_split: Split | None = Field(
        None, description="split of the real pictures to be close to; none: that of the prompts"
    )
    limit: int = Field(
        2048, ge=2, description="look at so many other images of that split, to be close to"
    )
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"
    json: str | None = Field(  # type: ignore[assignment]  # of a deprecated method's name
        None,
        description="write numbers and protocol here, after each setting; a file of the same "
        "protocol is continued",
    )
    plot: str | None = Field(None, description="draw the settings here (PNG)")
    grid: str | None = Field(
        None, description="draw pictures without guidance and with the best of each kind here"
    )
    grid_pictures: int = Field(8, ge=1, description="how many of each")
    table: list[str] = Field(
        [], description="draw nothing; show what these files hold, written by --json"
    )

    @model_validator(mode="after")
    def _swept(self) -> GuidanceSettings:
        if "guidance_scale" in self.model_fields_set:
            raise ValueError("guidance_scale is what is swept; give scales")
        if "scale" in self.clip_guidance.model_fields_set:
            raise ValueError("clip_guidance_scale is what is swept; give clip_scales")
        if self.table:
            given = self.model_fields_set - {"table", "plot"}
            if given:
                raise ValueError(f"table draws nothing, so leave out {', '.join(sorted(given))}")
        else:
            self._check_drawn()
        return self

    def _check_drawn(self) -> None:
        if self.model is None:
            raise ValueError("give model, a run folder or exported model; or table")
        count = len(self.judges)
        if count < 2:
            raise ValueError(
                f"judges names {count} CLIP{'s' * (count != 1)}; give two or more, such as "
                "runs/judge runs/judge-resnet"
            )
        if self.clip_guidance.prompts:
            raise ValueError(
                "clip_prompts guides all pictures to the same text, by which no R@k can tell "
                "their prompts apart; leave it out"
            )
        if not self.text_to_unet and set(self.scales) != {1.0}:
            raise ValueError(
                "text_to_unet false leaves classifier-free guidance nothing to guide; give scales 1"
            )
