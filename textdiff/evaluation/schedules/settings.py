"""Settings of `textdiff plot schedules`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.diffusion.config import OpenUnit

ScheduleName = Literal["linear", "scaled_linear", "cosine"]


class PlotSchedulesSettings(Settings):
    out: str = Field("schedules.png", description="where the picture goes")
    names: list[ScheduleName] = Field(
        ["linear", "scaled_linear", "cosine"], min_length=1, description="which schedules"
    )
    num_timesteps: int = Field(1000, ge=2, le=100_000, description="T of these")
    betas: tuple[OpenUnit, ...] | None = Field(
        None, min_length=2, description="a schedule of your own, drawn beside these"
    )
    zero_terminal_snr: bool = Field(
        True, description="also their versions that end in pure noise, dashed"
    )
    picture: str | None = Field(
        None, description="image file to add noise to; none: a picture of the data"
    )
    data: DataConfig = DataConfig(subset="nature")
    index: int = Field(0, ge=0, description="which picture of the data")
    strip_steps: int = Field(8, ge=2, le=32, description="noise levels of the picture, at most T")
