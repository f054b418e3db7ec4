"""Which latents: what a U-Net, a noised CLIP and a VAE must agree on."""

from __future__ import annotations

from pydantic import Field

from textdiff.config import Settings


class LatentSpace(Settings):
    """Normalised latents z' = (z - mean) / std of a VAE; recorded with what is trained on them."""

    vae: str = Field(description="hash of the VAE's weights")
    mean: tuple[float, ...] = Field(description="of each channel")
    std: tuple[float, ...] = Field(description="standard deviation of each channel")

    @property
    def channels(self) -> int:
        return len(self.mean)
