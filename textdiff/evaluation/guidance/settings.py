"""Settings of `textdiff guidance`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from textdiff.data.config import RunData
from textdiff.evaluation.settings import Device, FeatureCache, PromptSeed, PromptSplit, Split
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.sections import check_selection

Scale = Annotated[float, Field(ge=0)]
Candidates = Annotated[int, Field(ge=2)]
NAMES = {  # but those of a choice among candidates, for which it has settings of its own
    short: key
    for short, key in SamplingConfig.short_names.items()
    if not key.startswith("selection.")
}


class GuidanceSettings(SamplingConfig):
    """Protocol: `num_prompts` distinct captions of the split, chosen by `prompt_seed`, and as many
    pictures of each. `guidance_scale`, `clip_guidance_scale` and choices among candidates are what
    is swept."""

    short_names: ClassVar[Mapping[str, str]] = {
        **NAMES,
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
    best_of: list[Candidates] = Field(
        [],
        description="candidates for a picture, of which the best is kept, at each of scales; "
        "beside it that guidance alone, in as many evaluations; none: off",
    )
    final_judges: list[str] = Field(
        [], description="best_of: CLIPs that choose among finished candidates"
    )
    early_judges: list[str] = Field(
        [], description="best_of: CLIPs, such as a noised one, that stop the weaker at keep_after"
    )
    keep_after: list[float] = Field(
        [], description="shares of the steps after which the early judges stop the weaker half"
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
        if "selection" in self.model_fields_set:
            raise ValueError(
                "selection is what is swept; give best_of, and final_judges or early_judges"
            )
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
        self._check_choices()
        if self.clip_guidance.prompts:
            raise ValueError(
                "clip_prompts guides all pictures to the same text, by which no R@k can tell "
                "their prompts apart; leave it out"
            )
        if not self.text_to_unet and set(self.scales) != {1.0}:
            raise ValueError(
                "text_to_unet false leaves classifier-free guidance nothing to guide; give scales 1"
            )

    def _check_choices(self) -> None:
        judges = self.final_judges or self.early_judges
        if self.best_of and not judges:
            raise ValueError("best_of without a CLIP that chooses; give final_judges, early_judges")
        if judges and not self.best_of:
            raise ValueError("judges of candidates without candidates; give best_of 2 or more")
        if bool(self.early_judges) != bool(self.keep_after):
            raise ValueError("early_judges choose at keep_after; give both, or neither")
        for count in self.best_of:
            check_selection(count, None, self.keep_after)
