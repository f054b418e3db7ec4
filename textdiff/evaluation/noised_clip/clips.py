"""The noised CLIP and the clean one that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textdiff.clip import ClipModel, NoisedClip
from textdiff.errors import CheckpointError, UsageError
from textdiff.pipeline.loading import VAE_FOLDER
from textdiff.vae import LatentCodec, Vae


@dataclass(frozen=True)
class ClipPair:
    """Both frozen. clean_name: where the clean one came from. codec: of what is noised; None:
    pixels are."""

    noised: NoisedClip
    clean: ClipModel
    clean_name: str
    codec: LatentCodec | None = None

    @property
    def image_size(self) -> int:
        """Side of the pictures."""
        return self.noised.image_size if self.codec is None else self.codec.image_size


def load_pair(noised_name: str, clean_name: str | None, device: str = "cpu") -> ClipPair:
    """Both CLIPs, frozen, on `device`; without a `clean_name`, the one that the noised CLIP was
    fine-tuned from.

    Raises:
        UsageError: the noised CLIP does not say what it was fine-tuned from.
        CheckpointError: no such CLIP, or the one it was fine-tuned from has changed since.
    """
    noised = NoisedClip.load(noised_name).freeze()
    name = clean_name or noised.config.source
    if name is None:
        raise UsageError(f"{noised_name} does not say what it was fine-tuned from; give --clean")
    clean = ClipModel.load(name).freeze()
    if clean_name is None:
        check_source(noised, clean.weights_hash())
    codec = load_codec(noised_name, noised, device)
    return ClipPair(noised.to(device), clean.to(device), name, codec)


def load_codec(name: str, noised: NoisedClip, device: str) -> LatentCodec | None:
    """Of the latents that a noised CLIP reads; None: it reads pixels.

    Raises:
        CheckpointError: its folder has no VAE, or another one.
    """
    if noised.latents is None:
        return None
    vae = Vae.load(Path(name).expanduser() / VAE_FOLDER, device)
    if vae.space != noised.latents:
        raise CheckpointError(
            f"{name}/{VAE_FOLDER} is not the VAE whose latents the CLIP reads; put that one back"
        )
    return LatentCodec(vae, noised.image_size * vae.factor)


def check_source(noised: NoisedClip, weights: str) -> None:
    """Raises CheckpointError if the noised CLIP was fine-tuned from other weights than these."""
    config = noised.config
    if config.source_weights != weights:
        raise CheckpointError(
            f"{config.source} holds weights {weights} now, the noised CLIP was fine-tuned from "
            f"{config.source_weights}; name that one with --clean"
        )
