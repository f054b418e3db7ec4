"""What draws: a U-Net, the frozen CLIP that it is conditioned on, and what its output means.

prompts ── CLIP ──► Conditioning ──┐
x_t, timestep ── U-Net with it bound ── Process ──► prediction of x_0      x_0 ── codec ──► pictures
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from textdiff import checkpoint
from textdiff.binary.prediction import BinaryDenoise
from textdiff.binary.schedule import BinarySchedule
from textdiff.clip.features import image_features
from textdiff.clip.model import ClipModel
from textdiff.config import to_yaml
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.embeddings import scaled_feature
from textdiff.files import write_text
from textdiff.latent_space import LatentSpace
from textdiff.manifests import MANIFEST, write_manifest
from textdiff.models.unet import UNet
from textdiff.pictures import PictureCodec
from textdiff.pipeline.config import ModelConfig
from textdiff.pipeline.loading import CLIP_FOLDER, MODEL_FILE, VAE_FOLDER, WEIGHTS_FILE
from textdiff.pipeline.network import run_bound
from textdiff.pipeline.process import CODECS, PROCESSES, Process
from textdiff.sampling.noise import ImageNoise
from textdiff.types import Conditioning, Denoise, Network, Pictures, Samples
from textdiff.vae import LatentCodec, Vae


@dataclass
class Model:
    """step: of its checkpoint. vae: whose latents are diffused; None: pixels are."""

    unet: UNet
    clip: ClipModel
    config: ModelConfig
    step: int | None = None
    vae: Vae | None = None

    def save(self, folder: str | Path) -> None:
        """Writes a folder that `TextToImage.load` reads: model.yaml, clip/, vae/ if it has one, the
        weights."""
        folder = Path(folder).expanduser()
        self.clip.save(folder / CLIP_FOLDER)
        if self.vae is not None:
            self.vae.save(folder / VAE_FOLDER)
        checkpoint.save_tensors(folder / WEIGHTS_FILE, self.unet.state_dict())
        write_text(folder / MODEL_FILE, to_yaml(self.config))
        parts = [CLIP_FOLDER] if self.vae is None else [CLIP_FOLDER, VAE_FOLDER]
        manifests = [f"{part}/{MANIFEST}" for part in parts]
        write_manifest(folder, [WEIGHTS_FILE, MODEL_FILE, *manifests])

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.unet.conv_in.weight.device

    @cached_property
    def process(self) -> Process:
        """The kind of diffusion."""
        return PROCESSES[self.config.process](self.config)

    @property
    def schedule(self) -> NoiseSchedule | BinarySchedule:
        """How pictures are noised."""
        return self.process.schedule

    @cached_property
    def codec(self) -> PictureCodec:
        """Between stored pictures and what is diffused."""
        if self.vae is not None:
            return LatentCodec(self.vae, self.config.image_size)
        return CODECS[self.config.process](self.config)

    @property
    def space(self) -> LatentSpace | None:
        """Which latents are diffused; None: pixels are."""
        return None if self.vae is None else self.vae.space

    def conditioning(self, prompts: list[str]) -> Conditioning:
        """What the U-Net sees of `prompts`, from those layers of CLIP that it was trained on."""
        config = self.config
        return self.clip.conditioning(
            prompts, layers=config.text_layers, padding=config.text_padding
        )

    def conditioning_of(self, prompts: list[str], pictures: Pictures) -> Conditioning:
        """What the U-Net sees of `pictures` (B, 3, H, W) uint8 and their prompts: in an unCLIP
        decoder each picture's own embedding besides."""
        text = self.conditioning(prompts)
        if self.config.unet.image_dim is None:
            return text
        own = scaled_feature(image_features(self.clip, pictures))
        return replace(text, image=own.to(self.device))

    def network(self, conditioning: Conditioning, grid: Tensor | None = None) -> Network:
        """The U-Net with `conditioning` bound.

        grid: the ascending timesteps (N,) that it will be called with, all rows at the same one;
            what is the same for all calls is then computed now. None: any timesteps.
        """
        if grid is not None:
            text = self.unet.bind(conditioning, grid)
            return lambda x_t, timestep: run_bound(self.unet, text, x_t, timestep)
        return lambda x_t, timestep: self.unet(x_t, timestep, conditioning)

    def denoiser(
        self, conditioning: Conditioning, grid: Tensor | None = None
    ) -> Denoise | BinaryDenoise:
        """The same, with the prediction that its output stands for."""
        return self.process.denoiser(self.network(conditioning, grid))

    def fits(self, prompt: str) -> bool:
        """Whether the text tower sees all of `prompt`."""
        return not self.clip.tokenize([prompt]).num_truncated

    def noise(self, count: int = 1, seed: int = 0, first: int = 0) -> Samples:
        """The noise (count, C, H, W) that pictures `first`, `first` + 1, ... of `seed` start from,
        on the CPU; an exported pipeline takes it as `latents`."""
        seeds = [(seed, first + k) for k in range(count)]
        return ImageNoise(seeds, self.codec.shape)()
