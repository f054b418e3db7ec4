"""Guidance compared: classifier-free, by CLIP, and both, at several scales.

Every setting draws the same prompts from the same noise. Measured are prompt following and CLIP
score, by CLIPs that took no part and by the one that guides; the distance of the pictures from real
ones, in the features of the former; and the time. A CLIP that guides is no judge: what it gains
beyond the others is what it was gamed by. One run has one form of CLIP guidance (a noised CLIP at
x_t, a clean one at x_0_hat with or without the U-Net's Jacobian); `--table` shows several runs side
by side.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from textdiff.data.config import DataConfig
from textdiff.errors import require_extra
from textdiff.pipeline.config import SamplingConfig

Scale = Annotated[float, Field(ge=0)]


class GuidanceSettings(SamplingConfig):
    """Protocol: `num_prompts` distinct captions of the split, chosen by `prompt_seed`, and as many
    pictures of each. `guidance_scale` and `clip_guidance_scale` are what is swept."""

    model: str | None = Field(None, description="run folder or exported model")
    evaluators: list[str] = Field(
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
    data: DataConfig = DataConfig()
    split: Literal["train", "val", "test", "all"] = Field(
        "train", description="split whose captions are the prompts"
    )
    num_prompts: int = Field(128, ge=2, description="N, prompts")
    images_per_prompt: int = Field(1, ge=1, description="pictures of each")
    prompt_seed: int = Field(0, description="which captions are the prompts")
    reference_split: Literal["train", "val", "test", "all"] | None = Field(
        None, description="split of the real pictures to be close to; none: that of the prompts"
    )
    limit: int = Field(2048, ge=2, description="most real pictures to be close to")
    device: str = Field("auto", description="cpu, cuda, mps; auto: the fastest there is")
    json: str | None = Field(
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
        for swept, list_of in (
            ("guidance_scale", "scales"),
            ("clip_guidance_scale", "clip_scales"),
        ):
            if swept in self.model_fields_set:
                raise ValueError(f"{swept} is what is swept; give {list_of}")
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
        count = len(self.evaluators)
        if count < 2:
            raise ValueError(
                f"evaluators names {count} CLIP{'s' * (count != 1)}; give two or more, such as "
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

    def sweep(self) -> list[SamplingConfig]:
        """The sampling settings to compare, each once."""
        pairs = dict.fromkeys((s, c) for c in self.clip_scales for s in self.scales)
        return [self.with_scales(scale, clip) for scale, clip in pairs]


def run(settings: GuidanceSettings) -> None:
    """Load, draw, judge, show.

    Raises:
        UsageError: an evaluator that took part, settings that the model cannot follow, a file of
            another protocol, fewer than two prompts, files that do not compare.
    """
    from textdiff.evaluation.guidance.merge import read_tables
    from textdiff.evaluation.guidance.plot import draw_sweep
    from textdiff.evaluation.guidance.table import show
    from textdiff.files import check_file

    for flag in ("json", "plot", "grid"):
        check_file(f"--{flag}", getattr(settings, flag))
    if settings.plot:
        require_extra("plot", "--plot")
    found = read_tables(settings.table) if settings.table else measured(settings)
    show(found)
    if settings.plot:
        draw_sweep(settings.plot, found)
        print(f"plot: {settings.plot}")


def measured(settings: GuidanceSettings) -> dict[str, Any]:
    """Protocol and numbers of the settings asked for, and of those that `--json` already held."""
    from textdiff.data import open_data
    from textdiff.devices import pick_device
    from textdiff.evaluation import report
    from textdiff.evaluation.drawn import real_pictures
    from textdiff.evaluation.guidance.draw import Sweep, check_settings, draw_grid
    from textdiff.evaluation.guidance.judges import load_judges, reference_pictures
    from textdiff.evaluation.guidance.measure import Judgement
    from textdiff.evaluation.guidance.store import Store, protocol
    from textdiff.pipeline import TextToImage

    device = pick_device(settings.device)
    pipe = TextToImage.load(settings.model, device)  # before data, which may take long to render
    judges = load_judges(settings, pipe, device)
    data = open_data(settings.data, settings.split)
    report.check_image_size(data, pipe)
    real = real_pictures(data, settings.num_prompts, settings.prompt_seed, pipe)
    check_settings(pipe, real.prompts, settings)
    reference = reference_pictures(settings, real.prompts)
    about = protocol(settings, pipe, judges, data, real.prompts, len(reference))
    store = Store.open(settings.json, about)
    judgement = Judgement.of(judges, real.prompts, reference)
    if not store.found["real"]:
        store.found["real"] = judgement.numbers(real.images, per_prompt=1)
    sweep = Sweep(pipe, real.prompts, settings.images_per_prompt)
    for config in settings.sweep():
        if not store.has(config):
            images, seconds = sweep.draw(config)
            numbers = judgement.numbers(images, settings.images_per_prompt)
            store.add(config, {**numbers, "seconds_per_picture": seconds})
    if settings.grid:
        draw_grid(Path(settings.grid), sweep, real, store.found, settings)
    if settings.json:
        print(f"numbers and protocol: {settings.json}")
    return store.found
