"""What numbers depend on, and stand beside in every file: model, CLIPs, data, device, versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from textdiff.pipeline.config import SamplingConfig

if TYPE_CHECKING:
    import torch

    from textdiff.clip import ClipModel, NoisedClip
    from textdiff.data import CaptionedImages
    from textdiff.pipeline import TextToImage

PACKAGES = ("torch", "open_clip_torch", "diffusers", "Pillow")


@dataclass(frozen=True)
class ModelProtocol:
    """A text-to-image model. step: of its checkpoint. weights, clip: hashes of its networks.
    prior: of what drew the embeddings of an unCLIP decoder; None: nothing did. vae: of what makes
    pictures of latents; None: pixels are drawn."""

    name: str
    step: int | None
    weights: str
    clip: str
    image_size: int
    prior: str | None = None
    vae: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Without `prior` where nothing drew embeddings, without `vae` where pixels are drawn."""
        values = asdict(self)
        for name in ("prior", "vae"):
            if values[name] is None:
                del values[name]
        return values


@dataclass(frozen=True)
class ClipProtocol:
    """A CLIP. weights: their hash. image_size: of the pictures that it sees."""

    name: str
    weights: str
    image_size: int


@dataclass(frozen=True)
class DataProtocol:
    """A split of captioned images. images: how many. resize, resample: how they were made
    `image_size` large. fingerprint: of the source's files and settings."""

    source: str
    split: str
    images: int
    image_size: int
    resize: str
    resample: str
    fingerprint: str


# What pictures are of: a split, or what a file of their features says that it was made of
SourceProtocol = DataProtocol | Mapping[str, Any]


def model_protocol(
    name: str, pipe: TextToImage, config: SamplingConfig | None = None
) -> ModelProtocol:
    """name: what the user called it. config: how it draws; None: it does not."""
    from textdiff.checkpoint import weights_hash

    weights, clip = weights_hash(pipe.unet), pipe.clip.weights_hash()
    prior = None if config is None else pipe.unclip.prior_of(config)
    return ModelProtocol(
        name=name,
        step=pipe.step,
        weights=weights,
        clip=clip,
        image_size=pipe.config.image_size,
        prior=None if prior is None else prior.weights_hash(),
        vae=None if pipe.vae is None else pipe.vae.identity,
    )


def clip_protocol(name: str, clip: ClipModel | NoisedClip) -> ClipProtocol:
    """name: what the user called it."""
    return ClipProtocol(name, clip.weights_hash(), clip.image_size)


def data_protocol(data: CaptionedImages) -> DataProtocol:
    return DataProtocol(
        source=data.name,
        split=data.split,
        images=len(data),
        image_size=data.image_size,
        resize=data.config.resize,
        resample=data.config.resample,
        fingerprint=data.fingerprint,
    )


def sampling_protocol(config: SamplingConfig) -> dict[str, Any]:
    """How pictures are drawn: a key per flag, without those that a command adds."""
    from textdiff.pipeline.config import flat_settings

    return flat_settings(config)


def device_name(device: torch.device) -> str:
    """What seconds were measured on, such as "cpu" or "NVIDIA H100"."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on."""
    from importlib.metadata import version

    from textdiff import __version__

    return {"textdiff": __version__, **{name: version(name) for name in PACKAGES}}
