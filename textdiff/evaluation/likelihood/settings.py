"""Settings of `textdiff likelihood`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import RunData
from textdiff.diffusion.config import VarianceType
from textdiff.evaluation.settings import Device, ImageSeed, JsonFile, Model
from textdiff.sampling.config import Spacing

DEFAULT_ESTIMATE = 25
CaptionKind = Literal["first", "none", "shuffled"]


class LikelihoodSettings(Settings):
    """Protocol: `limit` images of the split, chosen by `image_seed`, one eps per timestep. The
    defaults take a minute or two on a CPU, for a model of the size of the README's."""

    short_names: ClassVar[Mapping[str, str]] = {"num_images": "limit"}

    model: Model
    data: RunData
    split: Literal["auto", "train", "val", "test", "all"] = Field(
        "auto", description="split to measure; auto: test, or val where there is no test"
    )
    limit: int | None = Field(
        128, ge=1, description="look at so many images of the split; none: at all"
    )
    image_seed: ImageSeed = 0
    captions: list[CaptionKind] = Field(
        ["first"],
        min_length=1,
        description="what the model is told: an image's first caption, the empty one, or that of "
        "another image; several: also their differences, on the same noise",
    )
    variance: Literal["auto", VarianceType] = Field(
        "auto", description="beta_tilde, beta, or the model's own; auto: learned, else fixed_large"
    )
    num_steps: int | None = Field(
        None, ge=1, description="the bound of a chain of so many steps; none: of all T"
    )
    spacing: Spacing = Field(
        "trailing", description="num_steps: which timesteps these are, as in sampling"
    )
    estimate: int | None = Field(
        DEFAULT_ESTIMATE,
        ge=2,
        description="estimate the bound, without bias, from so many timesteps per image (50 of "
        "1000 err by far less than images differ), or from all if the chain has fewer; none: all",
    )
    clip_denoised: bool = Field(True, description="clip x_0_hat to [-1, 1], as IDDPM does")
    seed: int = Field(0, description="of the noise, the estimate's timesteps, and the shuffle")
    batch_size: int = Field(64, ge=1, description="images at once")
    dtype: Literal["float32", "float64"] = Field("float32", description="of the computation")
    device: Device = "auto"
    plot: str | None = Field(None, description="draw the terms over the timesteps here (PNG)")
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name
