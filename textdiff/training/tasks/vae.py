"""A VAE as a task.

    pictures x ── encoder ──► q(z|x) ── z = mean + exp(logvar / 2) eps ──► decoder ──► x_hat
    loss = reconstruction + perceptual distance + kl_weight KL / D [+ weight * adaptive * generator]

With the objective elbo, pictures are dequantised: uniform noise and eps of a sample are functions
of (seed, step, epoch, sample id). Of held-out pictures, they are the same at every call.
"""

from __future__ import annotations

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
from textdiff.training.discriminator import Discriminator
from textdiff.training.draws import Key, keys_of
from textdiff.training.learning.vae import VaeNumbers
from textdiff.training.perceptual import Distance
from textdiff.training.run_folder import RunFolder
from textdiff.training.settings.vae import Objective, VaeLossConfig
from textdiff.training.task import Adversary
from textdiff.training.vae_network import VaeNetwork
from textdiff.training.vae_sheet import draw_reconstructions
from textdiff.types import Batch, Images, PerSample, Pictures, Samples
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
from textdiff.vae.passes import at_once
from textdiff.vae.posterior import Posterior
from textdiff.vae.statistics import LatentStatistics

if TYPE_CHECKING:
    from accelerate import Accelerator

CHUNK = 64  # pictures at a time
SHOWN = 8  # held-out pictures on the sheet


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
        discriminator: None: without.
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
    discriminator: Discriminator | None = None
    statistics_images: int | None = None
    held_out: CaptionedImages | None = None
    eval_images: int = 256
    statistics: LatentStatistics | None = field(default=None, init=False)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        x, eps = self.drawn(batch.image, keys_of(batch, self.seed, step))
        mean, logvar, x_hat, log_variance = model(x, eps)
        loss = self.loss_of(x, x_hat, Posterior(mean, logvar), log_variance)
        values = {"loss": loss.total, **self.parts(loss, log_variance)}
        if self.discriminator and self.discriminator.counts(step):
            terms = self.discriminator.generator_terms(
                x, x_hat, loss.reconstruction, self.model.last_layer
            )
            values |= {**terms, "loss": values["loss"] + terms["loss"]}
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
            values["distortion_bits_per_dim"] = density_to_bits(loss.pixels.detach())
            values["rate_bits_per_dim"] = to_bits(loss.rate.detach())
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

    @property
    def adversary(self) -> Adversary | None:
        return self.discriminator.adversary if self.discriminator else None

    def adversary_losses(self, network: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        if self.discriminator is None or not self.discriminator.counts(step):
            return {}
        return self.discriminator.own_losses(network)

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
        count, size = min(len(data), self.eval_images), min(CHUNK, at_once(data.image_size**2))
        for start in range(0, count, size):
            rows = range(start, min(start + size, count))
            _, pictures = data.read(rows)
            keys: list[Key] = [("held out", self.seed, row) for row in rows]
            x, eps = self.drawn(pictures, keys)
            mean, logvar, x_hat, log_variance = self.model(x, eps)
            posterior = Posterior(mean, logvar)
            again = to_uint8(self._vae().decode(posterior.mean))
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
