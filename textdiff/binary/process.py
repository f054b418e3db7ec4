"""Binary diffusion as a process that draws: networks and coins in, pictures of -1 and +1 out.

network(x_t, timestep) ── logits ──► guidance ── known pixels ──┐
x_T: fair coins, or a picture with flips ── sample_binary ◄─────┘ ──► x_0 in {-1, +1}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.binary.config import BinaryConfig, BinaryPredicts
from textdiff.binary.guidance import binary_classifier_free, binary_interval
from textdiff.binary.prediction import BinaryDenoise, BinaryPrediction, from_output
from textdiff.binary.sampling import BinaryStep, binary_inpaint, fair_coins, sample_binary
from textdiff.binary.schedule import BinarySchedule
from textdiff.types import Images, Network, NetworkPair, Timesteps


@dataclass(frozen=True)
class BinaryDiffusion:
    """The forward process, and what the network's logits are of."""

    schedule: BinarySchedule
    predicts: BinaryPredicts

    @classmethod
    def from_config(cls, config: BinaryConfig) -> BinaryDiffusion:
        return cls(BinarySchedule.from_config(config), config.predicts)

    def check_grid(self, grid: Tensor) -> None:
        """Raises ValueError if the network cannot take the steps of the ascending `grid` (N,)."""
        if self.predicts == "posterior" and len(grid) != int(grid[-1]) + 1:
            raise ValueError(
                "the network predicts the posterior, which is of single steps; "
                f"use num_steps {self.schedule.num_timesteps}"
            )

    def denoiser(self, network: Network) -> BinaryDenoise:
        """The prediction that the network's output stands for."""

        def denoise(x_t: Images, timestep: Timesteps) -> BinaryPrediction:
            return self._prediction(network(x_t, timestep), x_t, timestep)

        return denoise

    def guided(
        self,
        network: Network,
        pair: NetworkPair,
        guidance_scale: float,
        interval: tuple[int, int] | None,
    ) -> BinaryDenoise:
        """With classifier-free guidance at the timesteps of `interval`; None: at all."""
        conditional = self.denoiser(network)
        if guidance_scale == 1.0:
            return conditional

        def both(x_t: Images, timestep: Timesteps) -> tuple[BinaryPrediction, BinaryPrediction]:
            cond, uncond = pair(x_t, timestep)
            return self._prediction(cond, x_t, timestep), self._prediction(uncond, x_t, timestep)

        guided = binary_classifier_free(both, guidance_scale)
        return binary_interval(guided, conditional, interval)

    def draw(
        self,
        denoise: BinaryDenoise,
        grid: Tensor,
        noise: Callable[[], Tensor],
        init: Images | None = None,
        redraw: Tensor | None = None,
    ) -> Iterator[BinaryStep]:
        """Steps down the ascending `grid` (N,), from fair coins or from a picture.

        Args:
            noise: draws z ~ N(0, I) (B, 1, H, W).
            init: (1, 1, H, W) in {-1, +1}, noised to grid[-1] to start from.
            redraw: (1, 1, H, W) bool, where pixels of `init` are drawn anew; None: everywhere.
        """
        z = noise()
        if init is None:
            return sample_binary(denoise, self.schedule, grid, fair_coins(z), noise)
        timestep = grid[-1:].to(z.device).expand(len(z))
        x = self.schedule.add_noise(init.expand_as(z), torch.special.ndtr(z), timestep)
        if redraw is not None:
            denoise = binary_inpaint(denoise, self.schedule, init, redraw)
        return sample_binary(denoise, self.schedule, grid, x, noise)

    def _prediction(self, output: Images, x_t: Images, timestep: Timesteps) -> BinaryPrediction:
        return from_output(self.predicts, self.schedule, output, x_t, timestep)
