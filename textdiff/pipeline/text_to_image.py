"""Prompt in, images out.

    prompts ── ClipModel.conditioning ──► U-Net with text bound ──┐
    seeds, or init image and mask ── Process.steps ◄──────────────┤ ──► x_0 ──► PIL images
    prompts, or a picture ── ClipGuide, where asked for ──────────┘

A model folder holds model.yaml and clip/; its weights are unet.safetensors (exported) or the moving
averages of the newest good checkpoint (a run folder).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from textdiff import checkpoint
from textdiff.binary.prediction import BinaryDenoise
from textdiff.binary.process import BinaryDiffusion
from textdiff.binary.schedule import BinarySchedule
from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.config import build, read_yaml, to_yaml
from textdiff.data.grid import to_pil
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.errors import CheckpointError, UsageError
from textdiff.files import write_text
from textdiff.models.unet import UNet
from textdiff.pictures import BitCodec, PictureCodec, PixelCodec
from textdiff.pipeline.clip_guide import ClipGuide, check_guide, check_target, load_guide
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.gaussian import GaussianDiffusion
from textdiff.pipeline.init import Init, square
from textdiff.pipeline.network import RoundedCopy, bound_network, networks_of
from textdiff.pipeline.process import Network, Process
from textdiff.precision import bf16_pays
from textdiff.types import Conditioning, Denoise

MODEL_FILE = "model.yaml"
WEIGHTS_FILE = "unet.safetensors"
CLIP_FOLDER = "clip"
NOTHING_YET = torch.empty(0, dtype=torch.uint8)


@dataclass
class TextToImage:
    """A U-Net, the frozen CLIP it was trained with, and its schedule.

    step: of its checkpoint.
    guides: CLIPs that guide, by the name that `clip_guide` gives them; loaded as they are needed.
    """

    unet: UNet
    clip: ClipModel
    schedule: NoiseSchedule | BinarySchedule
    config: ModelConfig
    step: int | None = None
    guides: dict[str, ClipModel | NoisedClip] = field(default_factory=dict, repr=False)
    _rounded: RoundedCopy = field(
        default_factory=RoundedCopy, init=False, repr=False, compare=False
    )
    _told: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> TextToImage:
        """From a run folder or an exported one.

        Raises:
            CheckpointError: the folder is no model, or its weights cannot be used.
        """
        folder = Path(folder)
        config = read_config(folder)
        weights, state = _find_weights(folder)
        _check_trained_as(config, state.get("fixed", {}), folder / MODEL_FILE, weights.parent)
        unet = UNet(config.unet)
        checkpoint.load_module(unet, checkpoint.load_tensors(weights), weights)
        clip = _load_clip(folder, config)
        return cls.of(unet, clip, config, state.get("step")).to(device)

    @classmethod
    def of(
        cls, unet: UNet, clip: ClipModel, config: ModelConfig, step: int | None = None
    ) -> TextToImage:
        """With the schedule that `config` describes."""
        if config.process == "binary":
            return cls(unet, clip, BinarySchedule.from_config(config.binary), config, step)
        return cls(unet, clip, NoiseSchedule.from_config(config.schedule), config, step)

    def to(self, device: str | torch.device) -> TextToImage:
        """Moves the networks; both are frozen and in eval mode from here on."""
        self._rounded.drop()
        self.unet.to(device).eval().requires_grad_(False)
        for clip in (self.clip, *self.guides.values()):
            clip.to(device).freeze()
        return self

    def save(self, folder: str | Path) -> None:
        """Writes a folder that `load` reads: model.yaml, clip/ and the weights."""
        folder = Path(folder)
        self.clip.save(folder / CLIP_FOLDER)
        checkpoint.save_tensors(folder / WEIGHTS_FILE, self.unet.state_dict())
        write_text(folder / MODEL_FILE, to_yaml(self.config))

    @cached_property
    def process(self) -> Process:
        """The kind of diffusion."""
        kind = {"gaussian": GaussianDiffusion, "binary": BinaryDiffusion}[self.config.process]
        return kind(self.schedule, self.config)

    @cached_property
    def codec(self) -> PictureCodec:
        """Between stored pictures and what is diffused."""
        size = self.config.unet.image_size
        if self.config.process == "binary":
            return BitCodec(size, self.config.binary.threshold)
        return PixelCodec(size)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.unet.conv_in.weight.device

    def network(self, conditioning: Conditioning, grid: Tensor | None = None) -> Network:
        """The U-Net with `conditioning` bound.

        grid: the ascending timesteps (N,) that it will be called with, all rows at the same one;
            what is the same for all calls is then computed now. None: any timesteps.
        """
        if grid is not None:
            return bound_network(self.unet, self.unet.bind(conditioning, grid))
        return lambda x_t, timestep: self.unet(x_t, timestep, conditioning)

    def denoiser(
        self, conditioning: Conditioning, grid: Tensor | None = None
    ) -> Denoise | BinaryDenoise:
        """The same, with what its output stands for."""
        return self.process.denoiser(self.network(conditioning, grid))

    def unet_at(self, precision: str) -> UNet:
        """The U-Net, or its copy in bf16 if so asked; auto: if a probe finds that faster."""
        device = self.unet.conv_in.weight.device.type
        if precision == "bf16" or (precision == "auto" and bf16_pays(device)):
            return self._rounded.of(self.unet)
        return self.unet

    def fits(self, prompt: str) -> bool:
        """Whether the text tower sees all of `prompt`."""
        return not self.clip.tokenize([prompt]).num_truncated

    def guide(self, config: SamplingConfig) -> ClipModel | NoisedClip | None:
        """The CLIP whose gradient guides by these settings, frozen; None where none does.

        Raises:
            UsageError: one that cannot guide this model so. CheckpointError: no CLIP there.
        """
        if config.clip_guidance_scale == 0:
            return None
        name, device = config.clip_guide, self.clip.mean.device
        if name is not None and name not in self.guides:
            self.guides[name] = load_guide(name).to(device).freeze()
        guide = self.clip if name is None else self.guides[name]
        check_guide(guide, config, self.config)
        return guide

    def check(
        self,
        prompts: Sequence[str],
        config: SamplingConfig,
        init: Init | None = None,
        clip_image: Tensor | None = None,
    ) -> Tensor:
        """The ascending timesteps (N,) that will be visited.

        Raises:
            UsageError: settings that the model cannot follow, or a prompt that is too long.
            CheckpointError: no CLIP where `clip_guide` says.
        """
        for prompt in dict.fromkeys([*prompts, config.negative_prompt]):
            if not self.fits(prompt):
                raise UsageError(
                    f"prompt too long: '{prompt[:60]}...' does not fit the "
                    f"{self.clip.context_length} tokens of the text tower; shorten it"
                )
        if config.strength is not None and init is None:
            raise UsageError("strength without an init image; give the picture to start from")
        if not config.text_to_unet and config.guidance_scale != 1:
            raise UsageError(
                f"guidance_scale {config.guidance_scale:g} with text_to_unet false: what would be "
                "guided and what it is pushed away from are the same; give guidance_scale 1"
            )
        grid = self.process.check(config, init)
        if config.deep_cache_every > 1 and len(self.config.unet.block_channels) == 1:
            raise UsageError(
                f"deep_cache_every {config.deep_cache_every}: this U-Net has one level, so there "
                "is nothing below it to keep; leave out deep_cache_every"
            )
        guide = self.guide(config)
        check_target(guide, prompts, config, clip_image)
        if guide is None and not config.text_to_unet and any(prompts):
            self._warn_once(
                "text_to_unet false without guidance by CLIP: the prompts have no effect; give a "
                "clip_guidance_scale above 0"
            )
        return grid

    def _warn_once(self, message: str) -> None:
        if message not in self._told:
            logging.getLogger(__name__).warning(message)
            self._told.add(message)

    def images(
        self,
        prompts: Sequence[str],
        config: SamplingConfig,
        first: int = 0,
        init: Init | None = None,
        clip_image: Tensor | None = None,
    ) -> Iterator[tuple[int, Tensor]]:
        """Draws one image per prompt in batches; image k uses the noise of (seed, first + k).

        clip_image: (3, S, S) in [-1, 1], towards which CLIP guides in place of the prompts.

        Yields: (steps done in the whole job, uint8 images (b, C, H, W) of a finished batch or an
            empty tensor while a batch is under way).

        Raises: as `check`, before anything is drawn.
        """
        grid = self.check(prompts, config, init, clip_image)
        clip, unet = self.guide(config), self.unet_at(config.precision)
        device, done = next(self.unet.parameters()).device, 0
        for start in range(0, len(prompts), config.batch_size):
            chunk = list(prompts[start : start + config.batch_size])
            seeds = [(config.seed, first + start + k) for k in range(len(chunk))]
            told = chunk if config.text_to_unet else [config.negative_prompt] * len(chunk)
            networks = networks_of(unet, self.clip, told, config, grid)
            guide = None if clip is None else ClipGuide.of(clip, chunk, config, clip_image)
            for step in self.process.steps(*networks, config, init, seeds, device, guide):
                done += 1
                last = step.index == 0
                yield done, self.process.to_uint8(step.x) if last else NOTHING_YET

    def __call__(
        self,
        prompts: str | Sequence[str],
        num_images: int = 1,
        progress: bool = False,
        init_image: Image.Image | Tensor | None = None,
        mask: Image.Image | Tensor | None = None,
        clip_image: Image.Image | Tensor | None = None,
        **settings,
    ) -> list[Image.Image]:
        """Pictures of each prompt: `num_images` of the first, then of the second, and so on.

        Args:
            prompts: one prompt or several; "" draws without text.
            progress: show a progress bar.
            init_image: picture to start from, PIL or uint8 (3, H, W); `strength` of the forward
                process is gone back.
            mask: of the same size; white is drawn anew, black is kept.
            clip_image: picture, PIL or uint8 (3, H, W), towards whose CLIP feature the gradient
                guides in place of the prompt's.
            settings: fields of SamplingConfig, e.g. sampler="ddim", num_steps=50,
                guidance_scale=3.0, negative_prompt="", seed=0, clip_guidance_scale=1.0,
                clip_guide="runs/noised-clip".

        Raises:
            UsageError: an unknown or impossible setting, a prompt that is too long, a mask of
                another size than its picture, or a CLIP that cannot guide this model.
            CheckpointError: no CLIP where `clip_guide` says.
        """
        from tqdm import tqdm

        config = build(SamplingConfig, [("TextToImage", settings)])
        size = self.config.unet.image_size
        init = Init.of(init_image, mask, config.strength, size)
        towards = None if clip_image is None else square("clip_image", clip_image, size)
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        wanted = [prompt for prompt in prompts for _ in range(num_images)]
        num_steps = len(self.check(wanted, config, init, towards))  # before a progress bar shows
        batches = -(-len(wanted) // config.batch_size)
        finished: list[Tensor] = []
        with tqdm(total=batches * num_steps, disable=not progress, unit="step") as bar:
            for done, images in self.images(wanted, config, init=init, clip_image=towards):
                bar.update(done - bar.n)
                finished.extend([images] if len(images) else [])
        return [picture for images in finished for picture in to_pil(images)]


def read_config(folder: Path) -> ModelConfig:
    """What model.yaml in `folder` says. Raises CheckpointError."""
    file = folder / MODEL_FILE
    if not file.is_file():
        reason = "has no model.yaml" if folder.is_dir() else "does not exist"
        raise CheckpointError(
            f"{folder} {reason}; give a run folder of textdiff train, or an exported model"
        )
    try:
        return build(ModelConfig, [(str(file), read_yaml(file))])
    except UsageError as error:
        raise CheckpointError(f"{file} describes no model of this version: {error}") from None


def _find_weights(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The weights file of a model folder, and the state of the checkpoint it is part of, if any."""
    exported = folder / WEIGHTS_FILE
    if exported.is_file():
        return exported, {}
    newest, damaged = checkpoint.newest_good(folder / "checkpoints")
    for message in damaged:
        logging.getLogger(__name__).warning("skipping a damaged checkpoint: %s", message)
    if newest is None:
        raise CheckpointError(f"{folder} has no checkpoint yet; train it for longer")
    averages = newest / "ema.safetensors"
    weights = averages if averages.is_file() else newest / WEIGHTS_FILE
    return weights, checkpoint.load_state(newest)


def _check_trained_as(config: ModelConfig, fixed: dict[str, Any], file: Path, trained: Path):
    """Raises CheckpointError if model.yaml now reads the network's output in another way than the
    training did: the weights would load, and draw nonsense."""
    said = {"process": config.process, "prediction": config.prediction}
    for section in ("schedule", "binary"):
        values = getattr(config, section).model_dump(mode="json")
        said |= {f"{section}.{key}": value for key, value in values.items()}
    for key, value in said.items():
        if key in fixed and fixed[key] != value:
            raise CheckpointError(
                f"{file} says {key} {value}, but {trained} was trained with {fixed[key]}; "
                "put that back"
            )


def _load_clip(folder: Path, config: ModelConfig) -> ClipModel:
    local = folder / CLIP_FOLDER
    source = local if local.is_dir() else config.clip
    clip = ClipModel.load(source)
    if clip.text_width != config.unet.cross_attention_dim:
        raise CheckpointError(
            f"{source} has text features of width {clip.text_width}, the U-Net of {folder} was "
            f"trained on {config.unet.cross_attention_dim}; put the CLIP of its training there"
        )
    return clip
