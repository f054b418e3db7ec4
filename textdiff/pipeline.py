"""Prompt in, images out.

    prompts ── ClipModel.conditioning ──► Conditioning ──┐
    seed ── ImageNoise ──► x_T ── sample(guided denoiser) ──► x_0 ──► PIL images

A model folder holds model.yaml and clip/; its weights are unet.safetensors (exported) or the moving
averages of the newest good checkpoint (a run folder).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from textdiff import checkpoint
from textdiff.clip.model import ClipModel
from textdiff.config import build, read_yaml, to_yaml
from textdiff.data.grid import to_pil
from textdiff.diffusion.prediction import FROM_OUTPUT, clip_x_0
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.errors import CheckpointError, UsageError
from textdiff.files import write_text
from textdiff.guidance.classifier_free import classifier_free
from textdiff.models.unet import UNet
from textdiff.pipeline_config import ModelConfig, SamplingConfig
from textdiff.sampling.base import sample
from textdiff.sampling.ddim import DDIM
from textdiff.sampling.ddpm import DDPM
from textdiff.sampling.grid import timestep_grid
from textdiff.sampling.noise import ImageNoise
from textdiff.types import Conditioning, Denoise, Images, Prediction, Timesteps

SAMPLERS: dict[str, Callable] = {
    "ddim": lambda config: DDIM(config.eta),
    "ddpm": lambda config: DDPM(config.variance),
}
MODEL_FILE = "model.yaml"
WEIGHTS_FILE = "unet.safetensors"
CLIP_FOLDER = "clip"


@dataclass
class TextToImage:
    """A U-Net, the frozen CLIP it was trained with, and its schedule. `step`: of its checkpoint."""

    unet: UNet
    clip: ClipModel
    schedule: NoiseSchedule
    config: ModelConfig
    step: int | None = None

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> TextToImage:
        """From a run folder or an exported one.

        Raises:
            CheckpointError: the folder is no model, or its weights cannot be used.
        """
        folder = Path(folder)
        if not (folder / MODEL_FILE).is_file():
            reason = "has no model.yaml" if folder.is_dir() else "does not exist"
            raise CheckpointError(
                f"{folder} {reason}; give a run folder of textdiff train, or an exported model"
            )
        try:
            config = build(
                ModelConfig, [(str(folder / MODEL_FILE), read_yaml(folder / MODEL_FILE))]
            )
        except UsageError as error:
            raise CheckpointError(
                f"{folder / MODEL_FILE} describes no model of this version: {error}"
            ) from None
        weights, step = folder / WEIGHTS_FILE, None
        if not weights.is_file():
            newest, damaged = checkpoint.newest_good(folder / "checkpoints")
            for message in damaged:
                logging.getLogger(__name__).warning("skipping a damaged checkpoint: %s", message)
            if newest is None:
                raise CheckpointError(f"{folder} has no checkpoint yet; train it for longer")
            step = checkpoint.load_state(newest)["step"]
            averages = newest / "ema.safetensors"
            weights = averages if averages.is_file() else newest / WEIGHTS_FILE
        unet = UNet(config.unet)
        checkpoint.load_module(unet, checkpoint.load_tensors(weights), weights)
        local = folder / CLIP_FOLDER
        clip = ClipModel.load(local if local.is_dir() else config.clip)
        if clip.text_width != config.unet.cross_attention_dim:
            raise CheckpointError(
                f"{local if local.is_dir() else config.clip} has text features of width "
                f"{clip.text_width}, the U-Net of {folder} was trained on "
                f"{config.unet.cross_attention_dim}; put the CLIP of its training there"
            )
        schedule = NoiseSchedule.from_config(config.schedule)
        return cls(unet, clip, schedule, config, step).to(device)

    def to(self, device: str | torch.device) -> TextToImage:
        """Moves the networks; both are frozen and in eval mode from here on."""
        self.unet.to(device).eval().requires_grad_(False)
        self.clip.to(device).freeze()
        return self

    def save(self, folder: str | Path) -> None:
        """Writes a folder that `load` reads: model.yaml, clip/ and the weights."""
        folder = Path(folder)
        self.clip.save(folder / CLIP_FOLDER)
        checkpoint.save_tensors(folder / WEIGHTS_FILE, self.unet.state_dict())
        write_text(folder / MODEL_FILE, to_yaml(self.config))

    def denoiser(self, conditioning: Conditioning) -> Denoise:
        """The U-Net with `conditioning` bound, as a Denoise."""
        from_output = FROM_OUTPUT[self.config.prediction]

        def denoise(x_t: Images, timestep: Timesteps) -> Prediction:
            return from_output(self.schedule, self.unet(x_t, timestep, conditioning), x_t, timestep)

        return denoise

    def guided(self, prompts: Sequence[str], config: SamplingConfig) -> Denoise:
        """Denoiser of B prompts with guidance and clipping as `config` says."""
        conditioning = self.clip.conditioning([*prompts, config.negative_prompt])
        cond, uncond = conditioning[:-1], conditioning[-1:]
        if config.guidance_scale == 1.0:
            denoise = self.denoiser(cond)
        else:
            both = Conditioning.cat([cond, uncond.repeat(len(cond))])
            denoise = classifier_free(self.denoiser(both), config.guidance_scale)
        return clip_x_0(denoise, self.schedule) if config.clip_denoised else denoise

    def fits(self, prompt: str) -> bool:
        """Whether the text tower sees all of `prompt`."""
        return not self.clip.tokenize([prompt]).num_truncated

    def check(self, prompts: Sequence[str], config: SamplingConfig) -> Tensor:
        """The timesteps (num_steps,) that will be visited.

        Raises:
            UsageError: more steps than the schedule has, or a prompt that is too long.
        """
        for prompt in dict.fromkeys([*prompts, config.negative_prompt]):
            if not self.fits(prompt):
                raise UsageError(
                    f"prompt too long: '{prompt[:60]}...' does not fit the "
                    f"{self.clip.context_length} tokens of the text tower; shorten it"
                )
        try:
            return timestep_grid(self.schedule.num_timesteps, config.num_steps, config.spacing)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def images(
        self, prompts: Sequence[str], config: SamplingConfig, first: int = 0
    ) -> Iterator[tuple[int, Tensor]]:
        """Draws one image per prompt in batches; image k uses the noise of (seed, first + k).

        Yields: (steps done in the whole job, uint8 images (b, C, H, W) of a finished batch or an
            empty tensor while a batch is under way).

        Raises: as `check`, before anything is drawn.
        """
        grid = self.check(prompts, config)
        device = next(self.unet.parameters()).device
        unet = self.config.unet
        shape, done = (unet.in_channels, unet.image_size, unet.image_size), 0
        for start in range(0, len(prompts), config.batch_size):
            chunk = list(prompts[start : start + config.batch_size])
            seeds = [(config.seed, first + start + k) for k in range(len(chunk))]
            noise = ImageNoise(seeds, shape, device)
            steps = sample(
                self.guided(chunk, config),
                self.schedule,
                SAMPLERS[config.sampler](config),
                grid,
                noise(),
                noise,
            )
            for step in steps:
                done += 1
                last = step.index == 0
                yield done, to_uint8(step.x) if last else torch.empty(0, dtype=torch.uint8)

    def __call__(
        self,
        prompts: str | Sequence[str],
        num_images: int = 1,
        progress: bool = False,
        **settings,
    ) -> list[Image.Image]:
        """Pictures of each prompt: `num_images` of the first, then of the second, and so on.

        Args:
            prompts: one prompt or several; "" draws without text.
            progress: show a progress bar.
            settings: fields of SamplingConfig, e.g. sampler="ddim", num_steps=50,
                guidance_scale=3.0, negative_prompt="", seed=0.

        Raises:
            UsageError: an unknown or impossible setting, or a prompt that is too long.
        """
        from tqdm import tqdm

        config = build(SamplingConfig, [("TextToImage", settings)])
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        wanted = [prompt for prompt in prompts for _ in range(num_images)]
        self.check(wanted, config)  # before a progress bar shows
        batches = -(-len(wanted) // config.batch_size)
        finished: list[Tensor] = []
        with tqdm(total=batches * config.num_steps, disable=not progress, unit="step") as bar:
            for done, images in self.images(wanted, config):
                bar.update(done - bar.n)
                finished.extend([images] if len(images) else [])
        return [picture for images in finished for picture in to_pil(images)]


def to_uint8(images: Images) -> Tensor:
    """Float images in [-1, 1] (values outside are clipped) to uint8 0..255 on the CPU."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()
