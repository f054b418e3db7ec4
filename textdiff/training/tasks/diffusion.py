"""Text-to-image diffusion as a task.

image, caption ──► x_0, Conditioning;   (seed, step, sample id) ──► t, eps, caption dropped or not
x_t = sqrt(ac) x_0 + sqrt(1 - ac) eps;   loss = objective(unet(x_t, t, conditioning), x_0, eps, ...)

Held-out losses are those of eps whatever is predicted, so that they can be compared.
"""

from __future__ import annotations

from torch import Tensor, nn

from textdiff.data.base import CaptionedImages
from textdiff.diffusion.config import ObjectiveConfig
from textdiff.diffusion.importance import ImportanceTimesteps
from textdiff.diffusion.objective import Objective, simple_loss
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.training.captions import CaptionEmbeddings
from textdiff.training.draws import QUARTERS, Draws, draw, keys_of, quarters
from textdiff.training.gather import gather
from textdiff.training.run_folder import RunFolder
from textdiff.training.sample_grid import draw_samples
from textdiff.types import Batch, Conditioning, PerSample


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
        draws = draw(
            keys_of(batch, self.seed, step),
            tuple(batch.image.shape[1:]),
            self.schedule.num_timesteps,
            self.caption_drop,
            self.importance,
        )
        conditioning = self.embed(draws.shown(batch.captions))
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
        draw_samples(self.pipe, self.prompts, self.preview, run, step)
        return {} if self.held_out is None else self.held_out_losses()

    def held_out_losses(self) -> dict[str, float]:
        """L_simple of eps on held-out images, by quarter of the timesteps; see `quarters`."""
        found = quarters(
            self._eps_loss,
            self.held_out,
            self.eval_images,
            self.embed,
            self.seed,
            channels=3,
            num_timesteps=self.schedule.num_timesteps,
        )
        values = {f"held_out/eps_mse_q{q}": value for q, value in enumerate(found, 1)}
        return {**values, "held_out/eps_mse": sum(found) / QUARTERS}

    def _eps_loss(self, image: Tensor, draws: Draws, conditioning: Conditioning) -> PerSample:
        x_0, eps, timestep = self._on_device(image, draws, conditioning)
        x_t = self.schedule.add_noise(x_0, eps, timestep)
        return simple_loss(eps, self.pipe.denoiser(conditioning)(x_t, timestep).eps)
