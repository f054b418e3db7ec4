"""A VAE as a task.

    pictures x ── encoder ──► q(z|x) ── z = mean + exp(logvar / 2) eps ──► decoder ──► x_hat
    loss = reconstruction + perceptual distance + kl_weight KL / D [+ weight * adaptive * generator]

With the objective elbo, pictures are dequantised: uniform noise and eps of a sample are functions
of (seed, step, epoch, sample id). Of held-out pictures, they are the same at every call.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from textdiff.data.base import CaptionedImages
from textdiff.metrics.latents import measure_latents
from textdiff.pictures import to_float, to_uint8
from textdiff.randomness import Stream, normals
from textdiff.training.adversary import frozen_call
from textdiff.training.draws import Key, keys_of
from textdiff.training.learning.vae import VaeNumbers
from textdiff.training.perceptual import Distance
from textdiff.training.run_folder import RunFolder
from textdiff.training.settings.vae import Objective, VaeLossConfig
from textdiff.training.task import Rival
from textdiff.training.vae_sheet import draw_reconstructions
from textdiff.types import Batch, Images, PerSample, Pictures, Samples
from textdiff.vae.adversarial import adaptive_weight, discriminator_loss, generator_loss
from textdiff.vae.loss import (
    density_to_bits,
    dequantised,
    gaussian_nll,
    l1,
    l2,
    rate,
    to_bits,
)
from textdiff.vae.model import Vae
from textdiff.vae.posterior import Posterior
from textdiff.vae.statistics import LatentStatistics

if TYPE_CHECKING:
    from accelerate import Accelerator
    from diffusers import AutoencoderKL

CHUNK = 64  # pictures at a time
VARIANCE_SPEED = 10.0  # a learning rate fit for weights would move a logarithm too slowly
SHOWN = 8  # held-out pictures on the sheet


class VaeNetwork(nn.Module):
    """The autoencoder, and the variance of its Gaussian decoder.

    variance: of all pixels; None: learned.
    """

    def __init__(self, autoencoder: AutoencoderKL, variance: float | None) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.speeded: nn.Parameter | None = None
        self.fixed = math.log(variance) if variance else 0.0
        if variance is None:
            self.speeded = nn.Parameter(torch.zeros(()))

    @property
    def log_variance(self) -> Tensor:
        """log s^2 of the Gaussian decoder, a scalar."""
        if self.speeded is None:
            return torch.tensor(self.fixed)
        return VARIANCE_SPEED * self.speeded

    def posterior(self, x: Images) -> Posterior:
        """As `Vae.moments`, with gradients to the weights."""
        return Vae(self.autoencoder).moments(x)

    def forward(self, x: Images, eps: Samples) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """mean, logvar, x_hat of z, and log s^2."""
        posterior = self.posterior(x)
        x_hat = Vae(self.autoencoder).decode(posterior.sample(eps))
        return posterior.mean, posterior.logvar, x_hat, self.log_variance.to(x_hat.device)


@dataclass(frozen=True)
class Loss:
    """What is minimised, per sample, but for the adversarial part.

    pixels: reconstruction, in nats per dimension where it is gaussian. perceptual: its distance;
    None: without. rate: KL in nats per dimension.
    """

    pixels: PerSample
    rate: PerSample
    perceptual: PerSample | None
    config: VaeLossConfig

    @property
    def reconstruction(self) -> PerSample:
        """All that says how like the picture x_hat is."""
        if self.perceptual is None:
            return self.pixels
        return self.pixels + self.config.perceptual_weight * self.perceptual

    @property
    def total(self) -> PerSample:
        assert self.config.kl_weight is not None
        return self.reconstruction + self.config.kl_weight * self.rate


@dataclass(kw_only=True)
class VaeTask:
    """Trains `model`.

    Args:
        shape: of a picture's latents.
        objective: elbo dequantises pictures.
        loss: with nothing left open, see `VaeLossConfig.of`.
        perceptual: None: without.
        discriminator: None: without. Its weight and the steps before it counts come with it.
        data: training pictures, for the statistics of their latents.
        statistics_images: on how many; None: all.
        held_out: pictures to evaluate on, None without any; of them the first `eval_images`.
    """

    name: ClassVar[str] = "vae"

    model: VaeNetwork
    shape: tuple[int, int, int]
    seed: int
    objective: Objective
    loss: VaeLossConfig
    data: CaptionedImages
    perceptual: Distance | None = None
    discriminator: Rival | None = None
    discriminator_weight: float = 0.0
    discriminator_start: int = 0
    statistics_images: int | None = None
    held_out: CaptionedImages | None = None
    eval_images: int = 256
    accelerator: Accelerator | None = None
    statistics: LatentStatistics | None = field(default=None, init=False)
    # pictures and reconstructions of the micro-batch, from `losses` to `adversary_losses`
    _pair: tuple[Images, Images] | None = field(default=None, init=False, repr=False)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    # What is minimised

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        x, eps = self.drawn(batch.image, keys_of(batch, self.seed, step))
        mean, logvar, x_hat, log_variance = model(x, eps)
        loss = self.loss_of(x, x_hat, Posterior(mean, logvar), log_variance)
        values = {"loss": loss.total, **self.parts(loss, log_variance)}
        if self._opposed(step):
            values["loss"] = values["loss"] + self._adversarial(loss, x_hat, values)
            self._pair = x, x_hat.detach()
        return values

    def loss_of(self, x: Images, x_hat: Images, posterior: Posterior, log_variance: Tensor) -> Loss:
        if self.loss.reconstruction == "gaussian":
            pixels = gaussian_nll(x, x_hat, log_variance)
        else:
            pixels = (l1 if self.loss.reconstruction == "l1" else l2)(x, x_hat)
        distance = self.perceptual(x, x_hat) if self.perceptual else None
        return Loss(pixels, rate(posterior, x), distance, self.loss)

    def parts(self, loss: Loss, log_variance: Tensor) -> dict[str, Tensor]:
        """To be logged beside the loss. Of the objective elbo the two terms of the bound, in bits
        per dimension, whatever weight the second has in the loss."""
        values = {"kl_bits": to_bits(loss.rate.detach()) * self.data.image_size**2 * 3}
        if self.objective == "elbo":
            values["distortion bits/dim"] = density_to_bits(loss.pixels.detach())
            values["rate bits/dim"] = to_bits(loss.rate.detach())
        else:
            values[str(self.loss.reconstruction)] = loss.pixels.detach()
        if loss.perceptual is not None:
            values["perceptual"] = loss.perceptual.detach()
        if self.loss.reconstruction == "gaussian":
            values["decoder_std"] = (0.5 * log_variance.detach()).exp()
        return values

    def drawn(self, pictures: Pictures, keys: list[Key]) -> tuple[Images, Samples]:
        """x, dequantised where the objective is elbo, and eps, each a function of its key."""
        x = to_float(pictures.to(self.device, non_blocking=True))
        streams = [Stream("vae", *key) for key in keys]
        eps = normals(streams, self.shape)
        if self.objective == "elbo":
            uniform = torch.stack([stream.uniform(*x.shape[1:]) for stream in streams])
            x = dequantised(x, uniform.to(x))
        return x, eps.to(x)

    # The discriminator

    @property
    def adversary(self) -> Rival | None:
        return self.discriminator

    def _opposed(self, step: int) -> bool:
        return self.discriminator is not None and step >= self.discriminator_start

    def _adversarial(self, loss: Loss, x_hat: Images, values: dict[str, Tensor]) -> Tensor:
        """What the discriminator adds to the loss; adds what it is made of to `values`."""
        assert self.discriminator is not None
        generator = generator_loss(frozen_call(self.discriminator.network, x_hat))
        last = self.model.autoencoder.decoder.conv_out.weight
        if torch.is_grad_enabled():
            weight = adaptive_weight(
                self._gradient(loss.reconstruction, last), self._gradient(generator, last)
            )
        else:
            weight = torch.zeros((), device=x_hat.device)
        values["generator"], values["adaptive_weight"] = generator.detach(), weight
        return self.discriminator_weight * weight * generator

    def _gradient(self, losses: PerSample, weights: nn.Parameter) -> Tensor:
        """Of the mean over the batches of all processes."""
        (gradient,) = torch.autograd.grad(losses.float().mean(), weights, retain_graph=True)
        if self.accelerator is not None:
            gradient = self.accelerator.reduce(gradient, "mean")
        return gradient

    def adversary_losses(self, network: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        """Of pictures and their reconstructions in one pass. In diffusers' train_autoencoderkl
        (issue 10605) the discriminator had no such loss of its own, and stayed as it was made."""
        if not self._opposed(step):
            return {}
        assert self._pair is not None
        real, fake = network(torch.cat(self._pair)).float().chunk(2)
        self._pair = None
        return {
            "loss": discriminator_loss(real, fake),
            "real": real.detach().flatten(1).mean(1),
            "fake": fake.detach().flatten(1).mean(1),
        }

    # What is known of it

    def measure(self, accelerator: Accelerator) -> None:
        """The statistics of the training pictures' latents."""
        from accelerate.utils import gather_object

        self.model.eval()
        several = accelerator.num_processes > 1
        self.statistics = measure_latents(
            self._vae(),
            self.data,
            self.statistics_images,
            seed=self.seed,
            rank=accelerator.process_index,
            world_size=accelerator.num_processes,
            **({"gather": gather_object} if several else {}),
        )

    def _vae(self) -> Vae:
        return Vae(self.model.autoencoder)

    def export(self, folder: Path) -> None:
        """vae/: the autoencoder as it stands, with the statistics that `measure` found."""
        vae = self._vae()
        vae.statistics = self.statistics
        vae.save(folder / "vae")

    @torch.no_grad()
    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Reconstructions of held-out pictures, and a sheet of the first few: the pictures, what
        the decoder makes of the posterior's mean, and samples of N(0, I)."""
        if self.held_out is None:
            return {}
        numbers = VaeNumbers.merge(self._held_out_numbers(self.held_out))
        _, pictures = self.held_out.read(range(min(len(self.held_out), SHOWN)))
        draw_reconstructions(
            self._vae(), pictures, self.shape, self.seed, run.path / "samples", step
        )
        return numbers.values(self.objective)

    def _held_out_numbers(self, data: CaptionedImages) -> Iterator[VaeNumbers]:
        for start in range(0, min(len(data), self.eval_images), CHUNK):
            rows = range(start, min(start + CHUNK, len(data), self.eval_images))
            _, pictures = data.read(rows)
            keys: list[Key] = [("held out", self.seed, row) for row in rows]
            x, eps = self.drawn(pictures, keys)
            posterior = self.model.posterior(x)
            x_hat = self._vae().decode(posterior.sample(eps))
            again = to_uint8(self._vae().decode(posterior.mean))
            log_variance = self.model.log_variance.to(x_hat)
            yield VaeNumbers.of(
                pictures,
                again,
                kl=posterior.kl().cpu(),
                nll=gaussian_nll(x, x_hat, log_variance).cpu(),
                channel_kl=posterior.kl_per_element().sum((2, 3)).cpu(),
            )

    def in_words(self, values: dict[str, float]) -> str:
        return VaeNumbers.in_words(values)

    def verdict(self, values: dict[str, float], step: int) -> list[str]:
        return VaeNumbers.verdict(values, step)
