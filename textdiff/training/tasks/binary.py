"""Text-to-image diffusion of black-and-white pictures as a task.

image, caption ──► x_0 in {-1, +1}, Conditioning
(seed, step, sample id) ──► t, flips, caption dropped or not
loss = T L_t in bits/dim, whose mean over t is the bound on -log2 p(x_0), but for L_T
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textdiff.data.base import CaptionedImages
from textdiff.diffusion.binary import binarised, from_output
from textdiff.diffusion.binary_likelihood import bound_term, prior_term
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.training.captions import CaptionEmbeddings
from textdiff.training.run_folder import RunFolder
from textdiff.training.sample_grid import draw_samples
from textdiff.training.tasks.diffusion import CHUNK, QUARTERS, Draws, draw
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
        ids = zip(batch.epochs.tolist(), batch.sample_ids.tolist(), strict=True)
        keys = [(self.seed, step, epoch, sample_id) for epoch, sample_id in ids]
        x_0 = binarised(batch.image, self.config.threshold)
        draws = draw(keys, tuple(x_0.shape[1:]), self.schedule.num_timesteps, self.caption_drop)
        captions = [
            "" if drop else caption
            for caption, drop in zip(batch.captions, draws.dropped, strict=True)
        ]
        conditioning = self.embed(captions)
        noised = self._noised(x_0, draws, conditioning)
        return {"loss": self.schedule.num_timesteps * self._terms(model, *noised, conditioning)}

    def _noised(
        self, x_0: Tensor, draws: Draws, conditioning: Conditioning
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x_0, x_t and timestep, where the conditioning is."""
        device = conditioning.tokens.device
        x_0, timestep = x_0.to(device), draws.timestep.to(device)
        u = torch.special.ndtr(draws.eps.to(device))
        return x_0, self.schedule.add_noise(x_0, u, timestep), timestep

    def _terms(
        self,
        model: nn.Module,
        x_0: Tensor,
        x_t: Tensor,
        timestep: Tensor,
        conditioning: Conditioning,
    ) -> PerSample:
        """L_t at x_t in bits/dim, (B,)."""
        output = model(x_t, timestep, conditioning)
        prediction = from_output(self.config.predicts, self.schedule, output, x_t, timestep)
        return bound_term(self.schedule, prediction, x_0, x_t, timestep)

    def after_update(self) -> None:
        """Nothing to clamp."""

    def saved(self, run: RunFolder) -> None:
        """The checkpoint is all: `TextToImage.load` reads it."""

    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Draws the sample grid; returns the held-out bound."""
        if self.prompts:
            path = run.path / "samples" / f"step-{step:06d}.png"
            draw_samples(self.pipe, self.prompts, self.preview, path)
        return {} if self.held_out is None else self.held_out_bound()

    @torch.no_grad()
    def held_out_bound(self) -> dict[str, float]:
        """The bound in bits/dim on held-out images, and what each quarter of the timesteps adds to
        it: q1 is the least noisy one. The same images, flips and timesteps at every call."""
        data, T = self.held_out, self.schedule.num_timesteps
        ids, image = data.read(range(min(len(data), self.eval_images)))
        conditioning = self.embed([data.captions[index][0] for index in ids])
        x_0, values = binarised(image, self.config.threshold), {}
        for quarter in range(QUARTERS):
            keys = [("held out", self.seed, quarter, row) for row in range(len(ids))]
            draws = draw(keys, tuple(x_0.shape[1:]), T, caption_drop=0.0)
            # the drawn timestep moved into this quarter
            draws.timestep = (draws.timestep + quarter * T) // QUARTERS
            noised = self._noised(x_0, draws, conditioning)
            terms = [
                self._terms(self.model, *(part[rows] for part in noised), conditioning[rows])
                for rows in (slice(i, i + CHUNK) for i in range(0, len(ids), CHUNK))
            ]
            share = T / QUARTERS * torch.cat(terms).mean().item()
            values[f"held_out/bits_per_dim_q{quarter + 1}"] = share
        values["held_out/bits_per_dim"] = sum(values.values()) + prior_term(self.schedule)
        return values
