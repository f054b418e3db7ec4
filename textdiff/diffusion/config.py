"""Settings of the diffusion process and of what a network is trained to say about it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from textdiff.config import Settings

ProcessType = Literal["gaussian", "binary"]
PredictionType = Literal["eps", "x_0", "v", "mean"]
VarianceType = Literal["fixed_small", "fixed_large", "learned"]
LossType = Literal["simple", "eps", "min_snr", "v1", "hybrid", "vlb"]

OpenUnit = Annotated[float, Field(gt=0, lt=1)]


class ScheduleConfig(Settings):
    """Which betas."""

    name: Literal["linear", "cosine", "scaled_linear", "explicit"] = Field(
        "cosine",
        description="noise schedule: DDPM's, IDDPM's, latent diffusion's, or the betas given",
    )
    num_timesteps: int = Field(
        1000, ge=1, le=100_000, description="T, steps of the forward process"
    )
    betas: tuple[OpenUnit, ...] | None = Field(
        None, min_length=1, description="explicit: one beta per step, T of them"
    )
    zero_terminal_snr: bool = Field(
        False, description="rescale so that x_T is pure noise (needs v, x_0 or mean prediction)"
    )

    @model_validator(mode="before")
    @classmethod
    def _count_betas(cls, values: Any) -> Any:
        """Explicit betas say T themselves."""
        betas = values.get("betas") if isinstance(values, dict) else None
        if isinstance(betas, (list, tuple)) and betas:
            return {"num_timesteps": len(betas), **values}
        return values

    @model_validator(mode="after")
    def _check(self) -> ScheduleConfig:
        if (self.name == "explicit") != (self.betas is not None):
            raise ValueError(
                f"name is {self.name} and betas are {'not ' if self.betas is None else ''}given; "
                "name: explicit goes with betas, the other schedules without"
            )
        if self.betas is not None and len(self.betas) != self.num_timesteps:
            raise ValueError(
                f"{len(self.betas)} betas for num_timesteps {self.num_timesteps}; "
                f"set it to {len(self.betas)} or leave it out"
            )
        if self.betas is not None and math.prod(1 - beta for beta in self.betas[:-1]) == 0:
            raise ValueError(
                "betas leave nothing of the picture before the last step; use smaller ones or fewer"
            )
        if self.zero_terminal_snr and self.num_timesteps < 2:
            raise ValueError("zero_terminal_snr needs num_timesteps of 2 or more")
        return self


class DensityConfig(Settings):
    """How often each timestep is trained on; see `diffusion.timestep_density`."""

    density: Literal["uniform", "log_snr", "power"] = Field(
        "uniform",
        description="training timesteps: uniform in t, uniform in log-SNR, or t = T u^power",
    )
    power: float = Field(1.0, gt=0, description="power: above 1 prefers little noise")

    @model_validator(mode="after")
    def _check_power(self) -> DensityConfig:
        check_power("density", self.density, self.power)
        return self


def check_power(name: str, chosen: str, power: float) -> None:
    """Raises ValueError unless a power other than 1 is given where `name` is power alone."""
    if (chosen == "power") == (power == 1):
        raise ValueError(
            f"{name} {chosen} and power {power:g} do not go together; "
            f"{name}: power wants a power other than 1, the others none"
        )


class ObjectiveConfig(Settings):
    """What is minimised; see `diffusion.objective` for the equations."""

    loss: LossType = Field(
        "simple",
        description="simple: squared error of what is predicted; eps: of the noise, whatever is "
        "predicted; min_snr: simple, weighted; v1: squared error of the posterior mean over "
        "2 sigma^2; hybrid: simple, and the bound for a learned variance; vlb: the bound itself",
    )
    gamma: float = Field(5.0, gt=0, description="min_snr: cap of the signal-to-noise ratio")
    vlb_weight: float = Field(0.001, gt=0, description="hybrid: factor of the bound")
    variance: Literal["fixed_small", "fixed_large"] = Field(
        "fixed_large", description="v1, vlb: sigma^2 where the network learns none"
    )
    timesteps: Literal["uniform", "log_snr", "power", "importance"] = Field(
        "uniform",
        description="how training timesteps are drawn: uniform in t, uniform in log-SNR, "
        "t = T u^power, or by importance, as the bound's terms",
    )
    power: float = Field(
        1.0, gt=0, description="timesteps power: below 1 prefers much noise, above 1 little"
    )
    buckets: int = Field(
        1000,
        ge=1,
        description="importance: groups of timesteps tracked, at most T; draws are uniform until "
        "each has its history, about 20,000 pictures at one bucket per timestep",
    )
    history: int = Field(10, ge=1, description="importance: terms remembered per bucket")

    @model_validator(mode="after")
    def _check(self) -> ObjectiveConfig:
        if self.timesteps == "importance" and self.loss != "vlb":
            raise ValueError(
                f"timesteps: importance follows the terms of the bound; with loss {self.loss} "
                "use uniform"
            )
        if self.timesteps in ("log_snr", "power") and self.loss in ("v1", "hybrid", "vlb"):
            raise ValueError(
                f"timesteps: {self.timesteps} with loss {self.loss}, which is a sum over all "
                "timesteps alike; use uniform"
            )
        check_power("timesteps", self.timesteps, self.power)
        return self

    @property
    def density(self) -> DensityConfig | None:
        """Of the timesteps; None by importance, where it changes as training goes on."""
        if self.timesteps == "importance":
            return None
        return DensityConfig(density=self.timesteps, power=self.power)


def check_prediction(prediction: PredictionType, schedule: ScheduleConfig) -> None:
    """Raises ValueError if x_0 cannot be told from this prediction at every step."""
    if prediction == "eps" and schedule.zero_terminal_snr:
        raise ValueError(
            "prediction eps with schedule.zero_terminal_snr: at the last step x_t is eps itself "
            "and says nothing of the picture; use prediction v or x_0"
        )
