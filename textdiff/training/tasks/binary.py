"""Text-to-image diffusion of black-and-white pictures as a task.

image, caption ──► x_0 in {-1, +1}, Conditioning
(seed, step, sample id) ──► t, flips, caption dropped or not
loss = T L_t in bits/dim, whose mean over t is the bound on -log2 p(x_0), but for L_T
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from textdiff.binary.likelihood import bound_term, prior_term
from textdiff.binary.prediction import from_output
from textdiff.data.base import CaptionedImages
from textdiff.pictures import binarised
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.training.captions import CaptionEmbeddings
from textdiff.training.draws import QUARTERS, Draws, draw, keys_of, quarters
from textdiff.training.run_folder import RunFolder
from textdiff.training.sample_grid import draw_samples
from textdiff.types import Batch, Conditioning, PerSample


class BinaryTask:
    """Trains `pipe.unet`, which has one channel; everything else of `pipe` is frozen.

    Args: as `DiffusionTask`; `pipe.schedule` is a BinarySchedule.
    """

    name = "unet"

    def __init__(
        self,
        pipe: TextToImage,
        embed: CaptionEmbeddings,
        seed: int,
        caption_drop: float,
        held_out: CaptionedImages | None = None,
        eval_images: int = 64,
        prompts: list[str] | None = None,
        preview: SamplingConfig | None = None,
    ):
        self.pipe, self.embed, self.seed, self.caption_drop = pipe, embed, seed, caption_drop
        self.held_out, self.eval_images = held_out, eval_images
        self.prompts, self.preview = prompts or [], preview or SamplingConfig()
        self.model = pipe.unet
        self.schedule, self.config = pipe.schedule, pipe.config.binary

    def state(self) -> dict[str, Tensor]:
        return {}

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        draws = draw(
            keys_of(batch, self.seed, step),
            (1, *batch.image.shape[2:]),
            self.schedule.num_timesteps,
            self.caption_drop,
        )
        conditioning = self.embed(draws.shown(batch.captions))
        terms = self._terms(model, batch.image, draws, conditioning)
        return {"loss": self.schedule.num_timesteps * terms}

    def _terms(
        self, model: nn.Module, image: Tensor, draws: Draws, conditioning: Conditioning
    ) -> PerSample:
        """L_t in bits/dim, (B,)."""
        device = conditioning.tokens.device
        x_0 = binarised(image, self.config.threshold).to(device)
        timestep, u = draws.timestep.to(device), torch.special.ndtr(draws.eps.to(device))
        x_t = self.schedule.add_noise(x_0, u, timestep)
        output = model(x_t, timestep, conditioning)
        prediction = from_output(self.config.predicts, self.schedule, output, x_t, timestep)
        return bound_term(self.schedule, prediction, x_0, x_t, timestep)

    def after_update(self) -> None:
        """Nothing to clamp."""

    def saved(self, run: RunFolder) -> None:
        """The checkpoint is all: `TextToImage.load` reads it."""

    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Draws the sample grid; returns the held-out bound."""
        draw_samples(self.pipe, self.prompts, self.preview, run, step)
        return {} if self.held_out is None else self.held_out_bound()

    def held_out_bound(self) -> dict[str, float]:
        """The bound in bits/dim on held-out images, and what each quarter of the timesteps adds to
        it; see `quarters`."""
        T = self.schedule.num_timesteps
        found = quarters(
            partial(self._terms, self.model),
            self.held_out,
            self.eval_images,
            self.embed,
            self.seed,
            channels=1,
            num_timesteps=T,
        )
        shares = [T / QUARTERS * mean for mean in found]
        values = {f"held_out/bits_per_dim_q{q}": share for q, share in enumerate(shares, 1)}
        return {**values, "held_out/bits_per_dim": sum(shares) + prior_term(self.schedule)}
