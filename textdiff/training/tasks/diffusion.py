"""Text-to-image diffusion as a task.

image, caption ──► x_0, Conditioning;   (seed, step, sample id) ──► t, eps, caption dropped or not
x_t = sqrt(ac) x_0 + sqrt(1 - ac) eps;   loss = objective(unet(x_t, t, conditioning), x_0, eps, ...)

Held-out losses are those of eps whatever is predicted, so that they can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from textdiff.data.base import CaptionedImages
from textdiff.diffusion.config import ObjectiveConfig
from textdiff.diffusion.importance import ImportanceTimesteps
from textdiff.diffusion.objective import Objective, simple_loss
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.randomness import generator
from textdiff.training.captions import CaptionEmbeddings
from textdiff.training.run_folder import RunFolder
from textdiff.training.sample_grid import draw_samples
from textdiff.types import Batch, Conditioning

QUARTERS = 4
CHUNK = 64  # held-out images per forward pass


@dataclass
class Draws:
    """The random part of a batch: eps (B, C, H, W), timestep (B,), dropped (B,) bool.

    weight: (B,) factors of the losses that make up for how timesteps were drawn; None: uniformly.
    """

    eps: Tensor
    timestep: Tensor
    dropped: list[bool]
    weight: Tensor | None = None


def draw(
    keys: list[tuple],
    shape: tuple[int, ...],
    num_timesteps: int,
    caption_drop: float,
    importance: ImportanceTimesteps | None = None,
) -> Draws:
    """Noise, timestep and caption drop of each sample, a function of its key alone, and of what
    `importance` remembers if timesteps are drawn by it."""
    eps, timestep, dropped, uniforms = [], [], [], []
    for key in keys:
        g = generator("diffusion", *key)
        timestep.append(int(torch.randint(num_timesteps, (), generator=g)))
        dropped.append(float(torch.rand((), generator=g)) < caption_drop)
        eps.append(torch.randn(shape, generator=g))
        uniforms.append(torch.rand((), generator=g, dtype=torch.float64))
    drawn = Draws(torch.stack(eps), torch.tensor(timestep), dropped)
    if importance is not None:
        drawn.timestep, drawn.weight = importance.draw(torch.stack(uniforms))
    return drawn


def gather(tensor: Tensor) -> Tensor:
    """The same tensor of every process, joined along the first axis; equal sizes are assumed."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, tensor)
    return torch.cat(parts)


class DiffusionTask:
    """Trains `pipe.unet`; everything else of `pipe` is frozen.

    Args:
        held_out: split to evaluate on, None without one.
        eval_images: how many of it per quarter of the timesteps.
        prompts: captions of the sample grid; none are drawn if empty.
        preview: how they are drawn.
        objective: what is minimised.
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
        objective: ObjectiveConfig | None = None,
    ):
        self.pipe, self.embed, self.seed, self.caption_drop = pipe, embed, seed, caption_drop
        self.held_out, self.eval_images = held_out, eval_images
        self.prompts, self.preview = prompts or [], preview or SamplingConfig()
        self.model = pipe.unet
        self.schedule = pipe.schedule
        objective = objective or ObjectiveConfig()
        self.objective = Objective(objective, pipe.config.prediction, self.schedule)
        self.importance = (
            ImportanceTimesteps(self.schedule.num_timesteps, objective.buckets, objective.history)
            if objective.timesteps == "importance"
            else None
        )
        self.met: list[tuple[Tensor, Tensor]] = []  # timesteps and terms since the last update

    def state(self) -> dict[str, Tensor]:
        return self.importance.state() if self.importance else {}

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        ids = zip(batch.epochs.tolist(), batch.sample_ids.tolist(), strict=True)
        keys = [(self.seed, step, epoch, sample_id) for epoch, sample_id in ids]
        draws = draw(
            keys,
            tuple(batch.image.shape[1:]),
            self.schedule.num_timesteps,
            self.caption_drop,
            self.importance,
        )
        captions = [
            "" if drop else caption
            for caption, drop in zip(batch.captions, draws.dropped, strict=True)
        ]
        conditioning = self.embed(captions)
        x_0, eps, timestep = self._on_device(batch.image, draws, conditioning)
        x_t = self.schedule.add_noise(x_0, eps, timestep)
        losses = self.objective(model(x_t, timestep, conditioning), x_0, eps, x_t, timestep)
        if self.importance is not None:
            self.met.append((timestep, losses["loss"].detach()))
            weight = draws.weight.to(x_0)
            losses = {name: weight * value for name, value in losses.items()}
        return losses

    @staticmethod
    def _on_device(
        image: Tensor, draws: Draws, conditioning: Conditioning
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x_0 in [-1, 1], eps and timestep, where the conditioning is."""
        device = conditioning.tokens.device
        x_0 = image.to(device).float() / 127.5 - 1
        return x_0, draws.eps.to(device), draws.timestep.to(device)

    def after_update(self) -> None:
        """Shows the terms of all processes to the importance sampler of each."""
        for timestep, terms in self.met:
            self.importance.update(gather(timestep), gather(terms))
        self.met = []

    def saved(self, run: RunFolder) -> None:
        """The checkpoint is all: `TextToImage.load` reads it."""

    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Draws the sample grid; returns the held-out loss per quarter of the timesteps."""
        if self.prompts:
            path = run.path / "samples" / f"step-{step:06d}.png"
            draw_samples(self.pipe, self.prompts, self.preview, path)
        return {} if self.held_out is None else self.held_out_losses()

    @torch.no_grad()
    def held_out_losses(self) -> dict[str, float]:
        """L_simple of eps on held-out images at fixed noise and fixed timesteps, by quarter: q1 is
        the least noisy one. The same images, noise and timesteps at every call."""
        data, T = self.held_out, self.schedule.num_timesteps
        ids, image = data.read(range(min(len(data), self.eval_images)))
        conditioning = self.embed([data.captions[index][0] for index in ids])
        values = {}
        for quarter in range(QUARTERS):
            keys = [("held out", self.seed, quarter, row) for row in range(len(ids))]
            draws = draw(keys, tuple(image.shape[1:]), T, caption_drop=0.0)
            # the drawn timestep moved into this quarter
            draws.timestep = (draws.timestep + quarter * T) // QUARTERS
            x_0, eps, timestep = self._on_device(image, draws, conditioning)
            x_t = self.schedule.add_noise(x_0, eps, timestep)
            losses = [
                simple_loss(
                    eps[rows], self.pipe.denoiser(conditioning[rows])(x_t[rows], timestep[rows]).eps
                )
                for rows in (slice(i, i + CHUNK) for i in range(0, len(ids), CHUNK))
            ]
            values[f"held_out/eps_mse_q{quarter + 1}"] = torch.cat(losses).mean().item()
        values["held_out/eps_mse"] = sum(values.values()) / QUARTERS
        return values
