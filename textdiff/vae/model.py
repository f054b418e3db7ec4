"""A VAE of pictures: diffusers' `AutoencoderKL`, with what diffusion must know of its latents.

    images (B, 3, H, W) in [-1, 1] ── moments ──► q(z|x): mean, logvar (B, C, H/f, W/f)
    z (B, C, h, w) ── decode ──► images (B, 3, f h, f w)

Latents are here as the network has them; `LatentStatistics` scales them, `LatentCodec` does both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from textdiff.checkpoint import save_tensors, weights_hash
from textdiff.errors import CheckpointError, UsageError
from textdiff.files import write_text
from textdiff.latent_space import LatentSpace
from textdiff.manifests import US, WRITTEN_BY, exchanging, verify_folder
from textdiff.randomness import seed_of
from textdiff.types import Images, Samples
from textdiff.vae.config import VaeConfig, factor_of
from textdiff.vae.passes import in_passes
from textdiff.vae.posterior import Posterior
from textdiff.vae.source import (
    CLASS,
    CONFIG,
    WEIGHTS,
    build_network,
    find_folder,
    is_ours,
    load_network,
    read_options,
)
from textdiff.vae.statistics import (
    LATENTS,
    LatentStatistics,
    how_to_measure,
    read_statistics,
    statistics_of_config,
)

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

SCALES = ("scaling_factor", "shift_factor", "latents_mean", "latents_std")  # in config.json


@dataclass
class Vae:
    """A frozen network, and the statistics of its latents; None: nobody has measured them.

    source: where it came from, for messages.
    """

    network: AutoencoderKL
    statistics: LatentStatistics | None = None
    source: str = "this VAE"

    @staticmethod
    def build(config: VaeConfig, seed: int, image_size: int = 32) -> AutoencoderKL:
        """A network to be trained, its weights a function of the seed.

        image_size: of the pictures that it is trained on, for its config; it takes others too.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(seed, "vae"))
            return build_network({**config.to_diffusers(), "sample_size": image_size})

    @staticmethod
    def load(source: str | Path, device: str | torch.device = "cpu") -> Vae:
        """`source`: a run folder of train-vae, a folder or pipeline folder of diffusers, a model
        folder with vae/, or a hub name. Frozen, in eval mode.

        Raises:
            CheckpointError: no VAE there, or weights or statistics that do not fit it.
            UsageError: a hub name whose files are not on disk and cannot be downloaded.
        """
        folder = find_folder(source)
        options = read_options(folder)
        verify_folder(folder, ours=is_ours(options))
        network = load_network(folder, options)
        vae = Vae(network.to(device), source=str(source)).frozen()
        channels, identity = vae.latent_channels, vae.identity
        vae.statistics = read_statistics(
            folder, channels=channels, vae=identity
        ) or statistics_of_config(
            options, channels=channels, vae=identity, where=str(folder / CONFIG)
        )
        return vae

    @staticmethod
    def untrained_like(source: str | Path) -> Vae:
        """Of the architecture of a folder whose weights may be damaged, without statistics.

        Raises:
            CheckpointError: its other files are, too.
        """
        folder = find_folder(source)
        options = read_options(folder)
        ours = is_ours(options)
        verify_folder(folder, ours=ours, but=(WEIGHTS, LATENTS))
        return Vae(build_network(options), source=str(source)).frozen()

    def frozen(self) -> Vae:
        """Itself, in eval mode, its weights without gradients."""
        self.network.requires_grad_(False).eval()
        return self

    def save(self, folder: str | Path) -> None:
        """Writes config.json, diffusion_pytorch_model.safetensors and, where there are statistics,
        latents.json, and the manifest of these; `AutoencoderKL.from_pretrained` loads it too."""
        with exchanging(Path(folder), last=CONFIG, optional=[LATENTS]) as staged:
            save_tensors(staged / WEIGHTS, self.network.state_dict())
            if self.statistics:
                self.statistics.save(staged)
            write_text(staged / CONFIG, json.dumps(self._options(), indent=2) + "\n")

    def _options(self) -> dict[str, Any]:
        """config.json: the network, and one scale for those who read no latents.json. Not mean and
        deviation: pipelines that read these multiply by the scale besides."""
        options = {k: v for k, v in self.network.config.items() if not k.startswith("_")}
        options = {"_class_name": CLASS, f"_{WRITTEN_BY}": US, **options}
        for key in SCALES:
            options.pop(key, None)
        if self.statistics:
            options["scaling_factor"] = self.statistics.scaling_factor
        return options

    def moments(self, images: Images) -> Posterior:
        """q(z|x) of images (B, 3, H, W) in [-1, 1]; f must divide H and W. float32. In as many
        passes as memory asks for."""
        images = images.to(self.device, self.network.dtype)
        height, width = images.shape[-2:]
        encoder = partial(encoder_output, self.network)
        return Posterior.of_output(in_passes(encoder, images, height * width))

    def decode(self, z: Images) -> Images:
        """float32 images (B, 3, f h, f w), about [-1, 1] and not clipped, of latents that are not
        normalised; gradients flow to z. In as many passes as memory asks for."""
        z = z.to(self.device, self.network.dtype)
        height, width = z.shape[-2:]
        return in_passes(partial(decode, self.network), z, height * width * self.factor**2)

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def to(self, device: str | torch.device) -> Vae:
        """Itself, moved."""
        self.network.to(device)
        return self

    @property
    def factor(self) -> int:
        """f: pixels a side per place of the latents."""
        return factor_of(self.network.config.block_out_channels)

    @property
    def image_size(self) -> int:
        """Side of the pictures that its latents were measured on, or that it was trained on."""
        measured = self.statistics.image_size if self.statistics else None
        return measured or self.network.config.sample_size

    @property
    def latent_channels(self) -> int:
        return self.network.config.latent_channels

    def latent_shape(self, image_size: int) -> tuple[int, int, int]:
        """(C, h, h) of the latents of square pictures.

        Raises:
            UsageError: f does not divide the size.
        """
        if image_size < 1 or image_size % self.factor:
            raise UsageError(size_message(image_size, self.factor))
        side = image_size // self.factor
        return self.latent_channels, side, side

    @cached_property
    def identity(self) -> str:
        """Hash of the weights, the same on every device."""
        return weights_hash(self.network)

    @property
    def space(self) -> LatentSpace:
        """Of its latents, normalised. Raises CheckpointError as `measured`."""
        statistics = self.measured()
        return LatentSpace(
            vae=self.identity,
            mean=tuple(statistics.mean.tolist()),
            std=tuple(statistics.std.tolist()),
        )

    def measured(self) -> LatentStatistics:
        """The statistics.

        Raises:
            CheckpointError: nobody has measured them; says what to run.
        """
        if self.statistics is None:
            raise CheckpointError(
                f"{self.source} has no statistics of its latents (no latents.json, and its "
                f"{CONFIG} names no scaling_factor), so diffusion would not know their scale; "
                f"measure them: {how_to_measure(self.source)}"
            )
        return self.statistics


def encode(network: AutoencoderKL, images: Images) -> Posterior:
    """As `Vae.moments`, of images where the network is, in one pass."""
    return Posterior.of_output(encoder_output(network, images))


def encoder_output(network: AutoencoderKL, images: Images) -> Samples:
    """(B, 2C, h, w): what `Posterior.of_output` reads."""
    output = network.encoder(images)
    return output if network.quant_conv is None else network.quant_conv(output)


def decode(network: AutoencoderKL, z: Images) -> Images:
    """As `Vae.decode`, of latents where the network is, in one pass."""
    if network.post_quant_conv is not None:
        z = network.post_quant_conv(z)
    return network.decoder(z).float()


def size_message(image_size: int, factor: int) -> str:
    """Why a VAE of this factor takes no pictures of this size, and what would do."""
    near = max(1, round(image_size / factor)) * factor
    return (
        f"image size {image_size} cannot be halved {factor.bit_length() - 1} times, as this VAE of "
        f"factor {factor} does; use a multiple of {factor}, such as {near}"
    )
