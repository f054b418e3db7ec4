"""Training objectives: what is minimised for x_t = sqrt(ac) x_0 + sqrt(1 - ac) eps.

    simple    | target - output |^2, target eps, x_0, v or mean     L_simple, DDPM eq. 14 (eps)
    eps       | eps - eps_hat |^2                                    L_simple, whatever is predicted
    min_snr   w_t | target - output |^2,  w_t = min(snr, gamma) / f  arXiv 2303.09556, eq. 5
    v1        | mean - mean_hat |^2 / (2 sigma^2)                    DDPM eq. 8
    hybrid    simple + vlb_weight T L_t, its mean_hat held fixed     IDDPM, arXiv 2102.09672, eq. 16
    vlb       T L_t                                                  the bound itself, in bits/dim

with | target - output |^2 = f | x_0 - x_0_hat |^2:

    f = 1 (x_0), snr (eps), snr + 1 (v), c_0^2 (mean)

A network that outputs v is trained on | v - v_hat |^2, which is L_simple weighted by 1 / ac_t:
noisy pictures, whose content only the text can tell, count for more. With the loss eps such a
network is trained on L_simple itself, its output scaled as in EDM (arXiv 2206.00364, section 5).
Losses are per example; the training loop averages them once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from textdiff.diffusion.config import ObjectiveConfig, PredictionType
from textdiff.diffusion.likelihood import bound_term
from textdiff.diffusion.prediction import from_output, target
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import Output, PerSample, Prediction, Samples, Timesteps


def simple_loss(target: Samples, output: Samples) -> PerSample:
    """Squared error averaged over all but the batch. target, output: (B, ...) -> (B,).

    L_simple where the target is eps.

    Raises:
        ValueError: the shapes differ (they would broadcast in silence).
    """
    if target.shape != output.shape:
        raise ValueError(f"target is {tuple(target.shape)}, output {tuple(output.shape)}")
    return (target - output.to(target.dtype)).square().flatten(1).mean(1)


def min_snr_weight(
    prediction: PredictionType,
    schedule: NoiseSchedule,
    timestep: Timesteps,
    like: Samples,
    gamma: float = 5.0,
) -> PerSample:
    """Weight of a prediction's squared error that makes x_0's min(snr, gamma), (B,), of the type
    of `like` (B, ...)."""
    snr, on_x_0 = (
        schedule.at(table, timestep, like).flatten() for table in ("snr", "posterior_x_0")
    )
    factors = {"x_0": torch.ones_like(snr), "eps": snr, "v": snr + 1, "mean": on_x_0**2}
    return snr.clamp(max=gamma) / factors[prediction]


def v1_loss(
    schedule: NoiseSchedule,
    prediction: Prediction,
    x_0: Samples,
    x_t: Samples,
    timestep: Timesteps,
    variance: str = "fixed_large",
) -> PerSample:
    """Squared error of the posterior mean over 2 sigma^2, averaged over all but the batch, (B,).

    variance: fixed_large (sigma^2 = beta), or fixed_small (beta_tilde, clipped at t = 0).
    """
    mean, _ = schedule.posterior(x_0, x_t, timestep)
    mean_hat, _ = schedule.posterior(prediction.x_0, x_t, timestep)
    table = {"fixed_large": "log_betas", "fixed_small": "posterior_log_variance_clipped"}[variance]
    return simple_loss(mean, mean_hat) / (2 * schedule.at(table, timestep, x_t).exp().flatten())


@dataclass(frozen=True)
class Objective:
    """An objective bound to what the network predicts and to its schedule."""

    config: ObjectiveConfig
    prediction: PredictionType
    schedule: NoiseSchedule

    def __call__(
        self, output: Output, x_0: Samples, eps: Samples, x_t: Samples, timestep: Timesteps
    ) -> dict[str, PerSample]:
        """Values per example (B,): "loss", and the parts that it is made of.

        Args:
            output: (B, C or 2C, ...), what the network puts out for x_t; losses have x_0's dtype.

        Raises:
            ValueError: hybrid without a learned variance.
        """
        config, schedule = self.config, self.schedule
        output = output.to(x_0.dtype)
        prediction = from_output(self.prediction, schedule, output, x_t, timestep)
        if config.loss == "v1":
            return {"loss": v1_loss(schedule, prediction, x_0, x_t, timestep, config.variance)}
        if config.loss == "vlb":
            variance = config.variance if prediction.variance_mix is None else "learned"
            bits = bound_term(schedule, prediction, x_0, x_t, timestep, variance)
            return {"loss": schedule.num_timesteps * bits}
        if config.loss == "eps":
            return {"loss": simple_loss(eps, prediction.eps)}
        wanted = target(self.prediction, schedule, x_0, eps, timestep)
        error = simple_loss(wanted, output[:, : x_0.shape[1]])
        if config.loss == "min_snr":
            weight = min_snr_weight(self.prediction, schedule, timestep, x_0, config.gamma)
            return {"loss": weight * error, "simple": error}
        if config.loss == "hybrid":
            bits = self._variance_term(prediction, x_0, x_t, timestep)
            return {"loss": error + config.vlb_weight * bits, "simple": error, "vlb": bits}
        return {"loss": error}

    def _variance_term(
        self, prediction: Prediction, x_0: Samples, x_t: Samples, timestep: Timesteps
    ) -> Tensor:
        """T L_t with gradients for the variance alone."""
        fixed = replace(prediction, x_0=prediction.x_0.detach(), eps=prediction.eps.detach())
        bits = bound_term(self.schedule, fixed, x_0, x_t, timestep, "learned")
        return self.schedule.num_timesteps * bits
