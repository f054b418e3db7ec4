"""Gaussian diffusion as `TextToImage` draws with it.

network(x_t, timestep) ── from_output ──► Denoise ── guidance ── threshold ── ClipGuide ── inpaint ┐
x_T ~ N(0, I), or a noised picture ── sample(denoise, sampler, grid) ◄─────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.diffusion.prediction import from_output
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.diffusion.variance import pick_variance
from textdiff.errors import UsageError
from textdiff.guidance import classifier_free, rescale
from textdiff.pipeline.clip_guide import ClipGuide
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.init import Init
from textdiff.pipeline.process import Network, guided_as, visited
from textdiff.sampling.base import Sampler, Step, sample
from textdiff.sampling.ddim import DDIM
from textdiff.sampling.ddpm import DDPM
from textdiff.sampling.dpm_solver import DPMSolverPP
from textdiff.sampling.inpaint import inpaint
from textdiff.sampling.noise import ImageNoise
from textdiff.sampling.threshold import dynamic_threshold, static_threshold
from textdiff.sampling.unipc import UniPC
from textdiff.types import Denoise, Images, Prediction, Timesteps

SAMPLERS: dict[str, Callable[[SamplingConfig], Sampler]] = {
    "ddim": lambda config: DDIM(config.eta),
    "ddpm": lambda config: DDPM(config.variance),
    "dpmpp": lambda config: DPMSolverPP(),
    "dpmpp_sde": lambda config: DPMSolverPP(sde=True),
    "unipc": lambda config: UniPC(),
}


BELONGS_TO = {  # settings that one choice alone looks at
    "eta": ("sampler", ("ddim",)),
    "variance": ("sampler", ("ddpm",)),
    "threshold_percentile": ("threshold", ("dynamic",)),
}


@dataclass(frozen=True)
class GaussianDiffusion:
    """The process of models whose pictures are noised by N(0, I)."""

    schedule: NoiseSchedule
    config: ModelConfig

    def denoiser(self, network: Network) -> Denoise:
        """What the network's output stands for."""

        def denoise(x_t: Images, timestep: Timesteps) -> Prediction:
            output = network(x_t, timestep)
            return from_output(self.config.prediction, self.schedule, output, x_t, timestep)

        return denoise

    def guided(self, prompts: Network, both: Network, config: SamplingConfig) -> Denoise:
        """With guidance and threshold as `config` says; networks as in `Process.steps`."""
        correction = None
        if config.guidance_rescale:
            correction = rescale(self.schedule, config.guidance_rescale)
        guided = classifier_free(self.denoiser(both), config.guidance_scale, correction)
        denoise = guided_as(config, self.denoiser(prompts), guided)
        if config.threshold == "static":
            return static_threshold(denoise, self.schedule)
        if config.threshold == "dynamic":
            return dynamic_threshold(denoise, self.schedule, config.threshold_percentile)
        return denoise

    def check(self, config: SamplingConfig, init: Init | None = None) -> Tensor:
        """The ascending timesteps (N,) that will be visited.

        Raises:
            UsageError: ones that the schedule does not have, or in another order; a learned
                variance of a model that has none.
        """
        self.sampler(config)
        for name, needed in BELONGS_TO.items():
            key, values = needed
            default = SamplingConfig.model_fields[name].default
            if getattr(config, name) != default and getattr(config, key) not in values:
                raise UsageError(
                    f"{name} {getattr(config, name)} has no effect with {key} "
                    f"{getattr(config, key)}; leave it out, or use {key} {' or '.join(values)}"
                )
        return visited(self.schedule, config, init)

    def sampler(self, config: SamplingConfig) -> Sampler:
        """The update rule. Raises as `check`."""
        learned = self.config.unet.learned_variance
        try:
            variance = pick_variance(config.variance, learned, otherwise="fixed_small")
        except ValueError as error:
            raise UsageError(f"variance learned: {error}") from None
        config = config.model_copy(update={"variance": variance})
        return SAMPLERS[config.sampler](config)

    def steps(
        self,
        prompts: Network,
        both: Network,
        config: SamplingConfig,
        init: Init | None,
        seeds: Sequence[tuple],
        device: torch.device,
        guide: ClipGuide | None = None,
    ) -> Iterator[Step]:
        """See `Process.steps`. Raises as `check`."""
        grid = self.check(config, init)
        denoise = self.guided(prompts, both, config)
        if guide is not None:
            denoise = guide.guided(denoise, self.schedule, grid, config, seeds)
        unet = self.config.unet
        noise = ImageNoise(seeds, (unet.in_channels, unet.image_size, unet.image_size), device)
        x = noise()
        if init is not None:
            init = init.to(device)
            x = self.schedule.add_noise(init.image.expand_as(x), x, grid[-1:].expand(len(x)))
            if init.redraw is not None:
                denoise = inpaint(denoise, self.schedule, init.image, init.redraw)
        return sample(denoise, self.schedule, self.sampler(config), grid, x, noise)

    @staticmethod
    def to_uint8(images: Images) -> Tensor:
        """Float images in [-1, 1] (values outside are clipped) to uint8 0..255 on the CPU."""
        return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()
