"""Settings of `textdiff train-vae`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import pydantic
from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.training.config import Beta, OptimizerConfig, TrainConfig
from textdiff.training.settings.checked import CheckedRunSettings
from textdiff.vae.config import VaeConfig

Objective = Literal["autoencoder", "elbo"]
Reconstruction = Literal["l1", "l2", "gaussian"]
KL_WEIGHT: dict[Objective, float] = {"autoencoder": 1e-6, "elbo": 1.0}
RECONSTRUCTION: dict[Objective, Reconstruction] = {"autoencoder": "l1", "elbo": "gaussian"}


class VaeLossConfig(Settings):
    """loss = reconstruction + perceptual_weight distance + kl_weight KL, each per dimension of a
    picture; see `vae.loss`."""

    reconstruction: Reconstruction | None = Field(
        None,
        description="of pixels; gaussian: negative log-likelihood. none: l1, or gaussian where the "
        "objective is elbo",
    )
    variance: float | None = Field(
        None, gt=0, description="gaussian: of pixels in [-1, 1], fixed; none: one number, learned"
    )
    kl_weight: float | None = Field(
        None,
        ge=0,
        description="weight of the KL; 1 is the bound, less leaves latents room; none: 1e-6, or 1 "
        "where the objective is elbo",
    )
    perceptual: str | None = Field(
        None,
        description="what else compares pictures: the layers of a CLIP's image tower (folder or "
        "MODEL/TAG), or lpips; none: nothing",
    )
    perceptual_weight: float = Field(1.0, gt=0, description="weight of its distance")

    def of(self, objective: Objective) -> VaeLossConfig:
        """With what the objective decides filled in."""
        kl_weight = KL_WEIGHT[objective] if self.kl_weight is None else self.kl_weight
        return self.model_copy(
            update={
                "reconstruction": self.reconstruction or RECONSTRUCTION[objective],
                "kl_weight": kl_weight,
            }
        )


class DiscriminatorConfig(OptimizerConfig):
    """A discriminator of patches with an optimizer of its own; see `vae.adversarial`."""

    weight: float = Field(
        0.0, ge=0, description="of the adversarial loss, times the adaptive weight; 0: none"
    )
    start: int = Field(
        2000, ge=0, description="steps before it is trained and counts, from where its warm-up does"
    )
    channels: int = Field(32, ge=8, multiple_of=8, description="of its first layer")
    layers: int = Field(
        2, ge=1, le=5, description="halvings: patches of 16, 34 or 70 pixels with 1, 2 or 3"
    )
    lr: float = Field(5e-4, gt=0, description="peak learning rate")
    betas: tuple[Beta, Beta] = Field((0.5, 0.9), description="decay of the moments")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay of matrices")


class VaeTrainConfig(TrainConfig):
    """Of a small VAE."""

    lr: float = Field(1e-3, gt=0, description="peak learning rate")
    betas: tuple[Beta, Beta] = Field((0.9, 0.99), description="decay of the moments")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay of matrices")
    batch_size: int = Field(32, ge=1, description="pictures per process and forward pass")
    steps: int = Field(20_000, ge=1, description="optimizer steps")


class TrainVaeSettings(CheckedRunSettings):
    """A VAE on pictures, with or without captions."""

    short_names: ClassVar[Mapping[str, str]] = {
        "perceptual": "loss.perceptual",
        "kl_weight": "loss.kl_weight",
    }

    objective: Objective = Field(
        "autoencoder",
        description="autoencoder: latents to diffuse; elbo: the textbook VAE, a bound on the "
        "likelihood of 8-bit pictures, with samples from N(0, I)",
    )
    init: str | None = Field(
        None,
        description="start from this VAE (folder or hub name) instead of fresh weights",
    )
    seed: int = Field(0, description="of weights, order, noise and everything else")
    ema_decay: float | None = Field(
        0.999, gt=0, lt=1, description="moving average that is exported; none: no average"
    )
    eval_images: int = Field(256, ge=1, description="held-out pictures to evaluate on")
    statistics_images: int | None = Field(
        10_000,
        ge=1,
        description="training pictures that the latents' mean and deviation are measured on, at "
        "each checkpoint; none: all",
    )
    data: DataConfig = DataConfig()
    vae: VaeConfig = VaeConfig()
    loss: VaeLossConfig = VaeLossConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    train: VaeTrainConfig = VaeTrainConfig()

    @pydantic.model_validator(mode="after")
    def _elbo_is_a_likelihood(self) -> TrainVaeSettings:
        loss = self.loss.of(self.objective)
        if loss.variance is not None and loss.reconstruction != "gaussian":
            raise ValueError(
                f"loss.variance is of reconstruction gaussian, not {loss.reconstruction}"
            )
        if self.objective == "elbo":
            if loss.reconstruction != "gaussian":
                raise ValueError(
                    f"objective elbo is a likelihood, which reconstruction {loss.reconstruction} "
                    "is not; give gaussian"
                )
            if loss.perceptual or self.discriminator.weight:
                other = "loss.perceptual" if loss.perceptual else "discriminator.weight"
                raise ValueError(f"objective elbo has no place for {other}; leave it out")
        return self
