"""Settings of `textdiff vae`."""

from __future__ import annotations

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import RunData
from textdiff.evaluation.settings import Device, JsonFile, Limit, Split


class VaeEvalSettings(Settings):
    """Protocol: every picture of the split (or the first `limit`) is encoded to the posterior's
    mean, decoded, and rounded to 8 bits."""

    vae: str = Field(
        description="run folder of train-vae, a folder of diffusers' AutoencoderKL, or a hub name"
    )
    data: RunData
    split: Split = Field("test", description="split whose pictures are reconstructed")
    limit: Limit = None
    judge: list[str] = Field(
        [],
        description="CLIPs (folder or MODEL/TAG): KID of reconstructions in their features, and "
        "how often reconstructions find their captions, beside the originals",
    )
    batch_size: int = Field(64, ge=1, description="pictures at once")
    device: Device = "auto"
    sheet: str | None = Field(None, description="show originals above reconstructions here")
    sheet_pictures: int = Field(16, ge=1, description="how many of them")
    out: str | None = Field(
        None,
        description="write the VAE here, with the statistics of its latents over the training "
        "split: for one that has none, or for other data",
    )
    statistics_images: int | None = Field(
        10_000, ge=1, description="out: on so many training pictures; none: all"
    )
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name
