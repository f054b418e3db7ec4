"""Settings of `textdiff noised-clip`."""

from __future__ import annotations

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import RunData
from textdiff.evaluation.settings import Device, JsonFile, Limit, SearchedSplit


class NoisedClipSettings(Settings):
    """Protocol: every image of the split (or the first `limit`) with all of its captions, under the
    same noise at every timestep and for both CLIPs. Zero-shot classes are the distinct first
    captions of these images."""

    noised: str = Field(description="run folder of a noised CLIP")
    clean: str | None = Field(
        None, description="CLIP to compare with; none: the one that it was fine-tuned from"
    )
    data: RunData
    split: SearchedSplit = "test"
    limit: Limit = None
    levels: int = Field(11, ge=2, description="timesteps, evenly spaced from 0 to T-1")
    timesteps: tuple[int, ...] | None = Field(
        None, min_length=1, description="the timesteps themselves; levels does not count"
    )
    draws: int = Field(4, ge=1, description="noises per image, averaged over")
    template: str = Field("{}", description="zero-shot: the class's caption stands for {}")
    seed: int = Field(0, description="of the noise")
    device: Device = "auto"
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name
    plot: str | None = Field(None, description="draw the curves here, as PNG")
