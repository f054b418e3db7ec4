"""Binary diffusion as `TextToImage` draws with it.

network(x_t, timestep) ── logits ──► guidance ── known pixels ──┐
x_T: fair coins, or a picture with flips ── sample(...) ◄───────┘ ──► x_0 in {-1, +1}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.binary.guidance import binary_classifier_free
from textdiff.binary.prediction import BinaryDenoise, BinaryPrediction, from_output
from textdiff.binary.sampling import BinaryAncestral, binary_inpaint, fair_coins
from textdiff.binary.schedule import BinarySchedule
from textdiff.errors import UsageError
from textdiff.pictures import binarised
from textdiff.pipeline.clip_guide import ClipGuide
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.init import Init
from textdiff.pipeline.process import Network, guided_as, visited
from textdiff.sampling.base import Step, sample
from textdiff.sampling.noise import ImageNoise
from textdiff.types import Images, Timesteps

GAUSSIAN_ONLY = (
    *("sampler", "eta", "variance", "threshold", "threshold_percentile", "guidance_rescale"),
    *("clip_guidance_scale", "clip_guide"),
)


@dataclass(frozen=True)
class BinaryDiffusion:
    """The process of models whose black-and-white pictures are noised by flips."""

    schedule: BinarySchedule
    config: ModelConfig

    def denoiser(self, network: Network) -> BinaryDenoise:
        """What the network's output stands for."""

        def denoise(x_t: Images, timestep: Timesteps) -> BinaryPrediction:
            output = network(x_t, timestep)
            return from_output(self.config.binary.predicts, self.schedule, output, x_t, timestep)

        return denoise

    def check(self, config: SamplingConfig, init: Init | None = None) -> Tensor:
        """The ascending timesteps (N,) that will be visited.

        Raises:
            UsageError: ones that the schedule does not have, or that the network cannot take;
                settings of Gaussian samplers.
        """
        for name in GAUSSIAN_ONLY:
            default = SamplingConfig.model_fields[name].default
            if getattr(config, name) != default:
                raise UsageError(
                    f"{name} {getattr(config, name)}: a binary model draws coins, which have no "
                    f"such setting; leave out {name}"
                )
        grid = visited(self.schedule, config, init)
        if self.config.binary.predicts == "posterior" and len(grid) != int(grid[-1]) + 1:
            raise UsageError(
                "the network predicts the posterior, which is of single steps; "
                f"use num_steps {self.schedule.num_timesteps}"
            )
        return grid

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
        """See `Process.steps`; `check` refuses a guide. Raises as `check`."""
        grid = self.check(config, init)
        guided = binary_classifier_free(self.denoiser(both), config.guidance_scale)
        denoise = guided_as(config, self.denoiser(prompts), guided)
        unet = self.config.unet
        noise = ImageNoise(seeds, (unet.in_channels, unet.image_size, unet.image_size), device)
        x = noise()
        if init is None:
            return sample(denoise, self.schedule, BinaryAncestral(), grid, fair_coins(x), noise)
        init = init.to(device)
        picture = binarised(((init.image + 1) * 127.5)[None], self.config.binary.threshold)
        flips = torch.special.ndtr(x)
        x = self.schedule.add_noise(picture.expand_as(x), flips, grid[-1:].expand(len(x)))
        if init.redraw is not None:
            denoise = binary_inpaint(denoise, self.schedule, picture, init.redraw)
        return sample(denoise, self.schedule, BinaryAncestral(), grid, x, noise)

    @staticmethod
    def to_uint8(x: Images) -> Tensor:
        """Pixels -1 and +1 (B, 1, H, W) as RGB (B, 3, H, W): 0 and 255."""
        return ((x > 0) * 255).to(torch.uint8).expand(-1, 3, -1, -1).cpu()
