"""Settings of the diffusion process."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from textdiff.config import Settings

PredictionType = Literal["eps", "v"]


class ScheduleConfig(Settings):
    """Which betas."""

    name: Literal["linear", "cosine"] = Field("cosine", description="noise schedule")
    num_timesteps: int = Field(
        1000, ge=1, le=100_000, description="T, steps of the forward process"
    )
