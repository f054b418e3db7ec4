"""Gaussian text-to-image diffusion as a task.

x_t = sqrt(ac) x_0 + sqrt(1 - ac) eps;   loss = objective(unet(x_t, t, conditioning), x_0, eps, ...)

Held-out losses are those of eps whatever is predicted, so that they can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from accelerate.utils import gather
from torch import Tensor, nn

from textdiff.diffusion.config import ObjectiveConfig
from textdiff.diffusion.importance import ImportanceTimesteps
from textdiff.diffusion.objective import Objective, simple_loss
from textdiff.diffusion.prediction import from_output
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.diffusion.timestep_density import draw_timesteps, timestep_density
from textdiff.training.draws import QUARTERS, Draws
from textdiff.training.learning.probe import Denoised
from textdiff.training.learning.references import PixelStatistics, single_gaussian_pixels
from textdiff.training.tasks.text_to_image import TextToImageTask
from textdiff.types import Batch, Conditioning, Images, PerSample, Timesteps


@dataclass(kw_only=True)
class DiffusionTask(TextToImageTask):
    """Args: as `TextToImageTask`, and what is minimised."""

    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    importance: ImportanceTimesteps | None = field(init=False, default=None)
    # timesteps and terms of the bound that `importance` has not seen yet
    unseen: list[tuple[Tensor, Tensor]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        schedule = self.pipe.schedule
        if not isinstance(schedule, NoiseSchedule):
            raise TypeError("a DiffusionTask trains Gaussian models; this one is binary")
        self.schedule = schedule
        self._loss = Objective(self.objective, self.pipe.config.prediction, self.schedule)
        density = self.objective.density
        self._density = timestep_density(density, schedule) if density else None
        if self.objective.timesteps == "importance":
            self.importance = ImportanceTimesteps(
                self.schedule.num_timesteps, self.objective.buckets, self.objective.history
            )

    def prepare(self, batch: Batch, step: int) -> None:
        """As `TextToImageTask`; timesteps by importance are not known before their step."""
        if self.importance is None:
            super().prepare(batch, step)

    def draw_timesteps(self, uniforms: PerSample) -> tuple[Timesteps, PerSample | None]:
        if self.importance is not None:
            return self.importance.draw(uniforms)
        if self._density is not None:
            return draw_timesteps(self._density, uniforms), None
        return super().draw_timesteps(uniforms)

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        draws = self.draw(batch, step)
        conditioning = self.conditioning(batch, draws)
        x_0, eps, timestep = self.on_device(batch.image, draws)
        x_t = self.schedule.add_noise(x_0, eps, timestep)
        losses = self._loss(model(x_t, timestep, conditioning), x_0, eps, x_t, timestep)
        if draws.weight is not None:
            self.unseen.append((timestep, losses["loss"].detach()))
            weight = draws.weight.to(x_0)
            losses = {name: weight * value for name, value in losses.items()}
        return losses

    def state(self) -> dict[str, Tensor]:
        return self.importance.state() if self.importance else {}

    def after_update(self) -> None:
        """Shows the terms of all processes to the importance sampler of each."""
        if self.importance is not None:
            for timestep, terms in self.unseen:
                self.importance.update(gather(timestep), gather(terms))
            self.unseen.clear()

    def after_skip(self) -> None:
        """What a loss that is not finite says of a timestep is worth nothing."""
        self.unseen.clear()

    def denoised(self, images: Tensor, draws: Draws, conditioning: Conditioning) -> Denoised:
        """By L_simple of eps."""
        x_0, eps, timestep = self.on_device(images, draws)
        x_t = self.schedule.add_noise(x_0, eps, timestep)
        output = self.pipe.network(conditioning)(x_t, timestep)
        prediction = from_output(self.pipe.config.prediction, self.schedule, output, x_t, timestep)
        loss = simple_loss(eps, prediction.eps)
        x_0_hat = prediction.x_0.clamp(-1, 1) if self.pipe.codec.bounded else prediction.x_0
        return Denoised(loss, x_0, x_t, timestep, x_0_hat)

    def single_pixels(self, pixels: PixelStatistics, x_t: Images, timestep: Timesteps) -> Images:
        return single_gaussian_pixels(self.schedule, pixels, x_t, timestep)

    def held_out_values(self, means: list[float]) -> dict[str, float]:
        values = {f"held_out/eps_mse_q{q}": mean for q, mean in enumerate(means, 1)}
        return {**values, "held_out/eps_mse": sum(means) / QUARTERS}

    def in_words(self, values: dict[str, float]) -> str:
        quarters = " ".join(f"{values[f'held_out/eps_mse_q{q}']:.4f}" for q in range(1, 5))
        mean = values["held_out/eps_mse"]
        return f"squared error of the noise {mean:.4f} (from the least noisy quarter: {quarters})"
