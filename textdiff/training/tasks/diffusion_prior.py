"""unCLIP's diffusion prior as a task.

x_t = sqrt(ac) x_0 + sqrt(1 - ac) eps,  x_0 = z_i scaled;   loss = mean of (x_0 - x_0_hat)^2
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from textdiff.diffusion.config import ObjectiveConfig
from textdiff.diffusion.objective import Objective, simple_loss
from textdiff.models.diffusion_prior import DiffusionPrior
from textdiff.training.draws import QUARTERS, draw, keys_of, uniform_timesteps
from textdiff.training.learning.probe import FixedNoise, Probe
from textdiff.training.tasks.prior import PriorTask
from textdiff.types import Batch, Conditioning


@dataclass(kw_only=True)
class DiffusionPriorTask(PriorTask):
    """MSE of x_0_hat (unCLIP, eq. 2), the mean over coordinates."""

    def __post_init__(self) -> None:
        self._loss = Objective(ObjectiveConfig(), "x_0", self.prior.schedule)

    @property
    def network(self) -> DiffusionPrior:
        assert isinstance(self.prior.network, DiffusionPrior)
        return self.prior.network

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        schedule, device = self.prior.schedule, self.prior.device
        draws = draw(
            keys_of(batch, self.seed, step),
            (self.network.config.embed_dim,),
            uniform_timesteps(schedule.num_timesteps),
            self.caption_drop,
        )
        conditioning = self.embed(draws.shown(batch.captions))
        x_0 = self.network.scaled(batch.image.to(device))
        eps, timestep = draws.eps.to(device), draws.timestep.to(device)
        x_t = schedule.add_noise(x_0, eps, timestep)
        return self._loss(model(x_t, timestep, conditioning), x_0, eps, x_t, timestep)

    def held_out_losses(self, probe: Probe, conditioning: Conditioning) -> dict[str, float]:
        schedule, device = self.prior.schedule, self.prior.device
        x_0 = self.network.scaled(probe.images.to(device))
        noise = FixedNoise(self.seed, tuple(x_0.shape[1:]), schedule.num_timesteps)
        values = {}
        for quarter in range(QUARTERS):
            draws = noise.in_quarter(quarter, len(probe))
            timestep = draws.timestep.to(device)
            x_t = schedule.add_noise(x_0, draws.eps.to(device), timestep)
            loss = simple_loss(x_0, self.network(x_t, timestep, conditioning))
            values[f"held_out/x_0_mse_q{quarter + 1}"] = loss.mean().item()
        return {**values, "held_out/x_0_mse": sum(values.values()) / QUARTERS}

    def losses_in_words(self, values: dict[str, float]) -> str:
        quarters = " ".join(f"{values[f'held_out/x_0_mse_q{q}']:.4f}" for q in range(1, 5))
        mean = values["held_out/x_0_mse"]
        return f"squared error of x_0 {mean:.4f} (from the least noisy quarter: {quarters})"
