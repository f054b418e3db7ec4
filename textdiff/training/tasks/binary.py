"""Text-to-image diffusion of black-and-white pictures as a task.

x_0 in {-1, +1};   u = Phi(eps) uniform says which pixels of x_t are flipped
loss = T L_t in bits/dim, whose mean over t is the bound on -log2 p(x_0), but for L_T
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from textdiff.binary.likelihood import bound_term, prior_term
from textdiff.binary.prediction import BinaryPrediction, from_output
from textdiff.binary.schedule import BinarySchedule
from textdiff.training.draws import QUARTERS, Draws
from textdiff.training.learning.probe import Denoised
from textdiff.training.learning.references import PixelStatistics, single_binary_pixels
from textdiff.training.tasks.text_to_image import TextToImageTask
from textdiff.types import Batch, Conditioning, Images, Timesteps


@dataclass(kw_only=True)
class BinaryTask(TextToImageTask):
    """Args: as `TextToImageTask`; the U-Net of `pipe` has one channel, its schedule is a
    BinarySchedule."""

    def __post_init__(self) -> None:
        schedule = self.pipe.schedule
        if not isinstance(schedule, BinarySchedule):
            raise TypeError("a BinaryTask trains binary models; this one is Gaussian")
        self.schedule, self.predicts = schedule, self.pipe.config.binary.predicts

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        draws = self.draw(batch, step)
        conditioning = self.conditioning(batch, draws)
        x_0, x_t, timestep, prediction = self._predict(model, batch.image, draws, conditioning)
        terms = bound_term(self.schedule, prediction, x_0, x_t, timestep)
        return {"loss": self.schedule.num_timesteps * terms}

    def denoised(self, images: Tensor, draws: Draws, conditioning: Conditioning) -> Denoised:
        """By L_t in bits/dim."""
        x_0, x_t, timestep, prediction = self._predict(self.model, images, draws, conditioning)
        loss = bound_term(self.schedule, prediction, x_0, x_t, timestep)
        x_0_hat = prediction.x_0_hat if self.predicts == "x_0" else None
        return Denoised(loss, x_0, x_t, timestep, x_0_hat)

    def single_pixels(self, pixels: PixelStatistics, x_t: Images, timestep: Timesteps) -> Images:
        return single_binary_pixels(self.schedule, pixels, x_t, timestep)

    def held_out_values(self, means: list[float]) -> dict[str, float]:
        """The bound in bits/dim, and what each quarter of the timesteps adds to it."""
        shares = [self.schedule.num_timesteps / QUARTERS * mean for mean in means]
        values = {f"held_out/bits_per_dim_q{q}": share for q, share in enumerate(shares, 1)}
        return {**values, "held_out/bits_per_dim": sum(shares) + prior_term(self.schedule)}

    def in_words(self, values: dict[str, float]) -> str:
        quarters = " ".join(f"{values[f'held_out/bits_per_dim_q{q}']:.4f}" for q in range(1, 5))
        bound = values["held_out/bits_per_dim"]
        return f"at most {bound:.4f} bits/dim (from the least noisy quarter: {quarters})"

    def _predict(
        self, model: nn.Module, images: Tensor, draws: Draws, conditioning: Conditioning
    ) -> tuple[Images, Images, Timesteps, BinaryPrediction]:
        """x_0, x_t, the timesteps, and what `model` makes of them."""
        x_0, eps, timestep = self.on_device(images, draws)
        x_t = self.schedule.add_noise(x_0, torch.special.ndtr(eps), timestep)
        output = model(x_t, timestep, conditioning)
        return x_0, x_t, timestep, from_output(self.predicts, self.schedule, output, x_t, timestep)
