"""Settings of `textdiff inversion`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import RunData
from textdiff.evaluation.settings import Device, ImageSeed, JsonFile, Model, Split
from textdiff.sampling.config import Spacing

Steps = Annotated[int, Field(ge=1)]


class InversionSettings(Settings):
    """Protocol: `limit` images of the split, chosen by `image_seed`."""

    short_names: ClassVar[Mapping[str, str]] = {
        "num_pictures": "limit",
        "picture_seed": "image_seed",
    }

    model: Model
    data: RunData
    split: Split = Field("test", description="split whose pictures are inverted")
    limit: int = Field(64, ge=2, description="look at so many images of the split")
    image_seed: ImageSeed = 0
    num_steps: list[Steps] = Field(
        [10, 25, 50, 100], min_length=1, description="steps each way, one row of the table each"
    )
    spacing: Spacing = Field("trailing", description="which timesteps are visited")
    batch_size: int = Field(64, ge=1, description="pictures inverted at once")
    device: Device = "auto"
    grid: str | None = Field(
        None, description="show the first pictures, their noise and reconstructions here"
    )
    grid_pictures: int = Field(4, ge=1, description="how many of them")
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name
