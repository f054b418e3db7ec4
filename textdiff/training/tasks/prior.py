"""unCLIP's priors as tasks: embeddings and captions of a file, no picture.

z_i, caption ── (seed, step, sample id) ──► caption dropped or not, noise, timestep ──► loss
every so often:   losses of held-out rows;  embeddings drawn for their captions, how near they
                  come to the images, and how often they find them
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textdiff.data.embeddings import EmbeddedImages
from textdiff.diffusion.config import ObjectiveConfig
from textdiff.diffusion.objective import Objective, simple_loss
from textdiff.metrics.embeddings import cosines, of_another_caption, search
from textdiff.models.autoregressive import log_joint
from textdiff.models.autoregressive_prior import AutoregressivePrior
from textdiff.models.codes import Codes
from textdiff.models.diffusion_prior import DiffusionPrior
from textdiff.pipeline.prior.config import PriorSampling
from textdiff.pipeline.prior.drawing import seeds_of
from textdiff.pipeline.prior.prior import Prior, PriorNetwork
from textdiff.training.draws import QUARTERS, draw, keys_of, uniform_timesteps
from textdiff.training.learning.probe import FixedNoise, Probe
from textdiff.training.learning.words import recall_verdict
from textdiff.training.run_folder import RunFolder
from textdiff.types import Batch, Conditioning, Features


@dataclass(kw_only=True)
class PriorTask(ABC):
    """Trains `prior.network`; its CLIP is frozen.

    Args:
        embed: the conditioning of B captions, on the network's device.
        caption_drop: share of captions that are replaced by the empty one.
        held_out: rows to evaluate on, None without any; of them the first `eval_images`.
        preview: how embeddings are drawn for them.
    """

    name: ClassVar[str] = "prior"

    prior: Prior
    embed: Callable[[Sequence[str]], Conditioning]
    seed: int
    caption_drop: float
    held_out: EmbeddedImages | None = None
    eval_images: int = 512
    preview: PriorSampling = field(default_factory=PriorSampling)

    @property
    def model(self) -> PriorNetwork:
        return self.prior.network

    @abstractmethod
    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        """As `Task.losses`."""

    @abstractmethod
    def held_out_losses(self, probe: Probe, conditioning: Conditioning) -> dict[str, float]:
        """Of held-out rows, the same noise at each call."""

    @abstractmethod
    def losses_in_words(self, values: dict[str, float]) -> str:
        """Of what `held_out_losses` returned."""

    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Losses of held-out rows, and how near embeddings come that are drawn for them."""
        if self.held_out is None:
            return {}
        ids, images = self.held_out.read(range(min(len(self.held_out), self.eval_images)))
        probe = Probe(images, [self.held_out.captions[index][0] for index in ids])
        conditioning = self.embed([*probe.captions, ""])
        losses = self.held_out_losses(probe, conditioning[: len(probe)])
        if len(set(probe.captions)) < 2:
            return losses
        return losses | self._drawn(probe, conditioning)

    def _drawn(self, probe: Probe, conditioning: Conditioning) -> dict[str, float]:
        seeds = seeds_of(self.preview.seed, 0, len(probe), 1)
        images, drawn = probe.images, self.prior.draw(conditioning, seeds, self.preview).cpu()
        others = images[of_another_caption(probe.captions)]
        ranking = search(drawn, images, probe.captions)
        return {
            "held_out/cosine": cosines(drawn, images).mean().item(),
            "held_out/cosine_of_another": cosines(drawn, others).mean().item(),
            "held_out/R@1": ranking.recall(1),
            "held_out/chance R@1": ranking.chance(1),
        }

    def in_words(self, values: dict[str, float]) -> str:
        words = self.losses_in_words(values)
        if "held_out/R@1" not in values:
            return words
        cosine, other = values["held_out/cosine"], values["held_out/cosine_of_another"]
        found, chance = values["held_out/R@1"], values["held_out/chance R@1"]
        return (
            f"{words}; cosine of drawn embeddings to their image {cosine:.3f}, to another's "
            f"{other:.3f}; they find theirs in {found:.1%} (chance {chance:.1%})"
        )

    def verdict(self, values: dict[str, float], step: int) -> list[str]:
        if "held_out/R@1" not in values:
            return []
        return recall_verdict(
            values["held_out/R@1"],
            values["held_out/chance R@1"],
            step,
            finds="embeddings drawn for held-out captions find their image",
        )


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


@dataclass(kw_only=True)
class AutoregressivePriorTask(PriorTask):
    """Nats per code, - log p(codes | caption, dot) / K.

    Args:
        data: what is trained on: its codes' frequencies are what knows no caption.
    """

    data: EmbeddedImages

    @property
    def network(self) -> AutoregressivePrior:
        assert isinstance(self.prior.network, AutoregressivePrior)
        return self.prior.network

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        never = uniform_timesteps(1)
        draws = draw(keys_of(batch, self.seed, step), (0,), never, self.caption_drop)
        conditioning = self.embed(draws.shown(batch.captions))
        dropped = torch.tensor(draws.dropped)
        return {"loss": self._nats(model, batch.image, batch.captions, conditioning, dropped)}

    def _nats(
        self,
        model: nn.Module,
        images: Features,
        captions: Sequence[str],
        conditioning: Conditioning,
        dropped: Tensor,
    ) -> Float[Tensor, " batch"]:
        """Per code. captions: what the dot products are with, unless dropped."""
        device, network = self.prior.device, self.network
        with torch.autocast(device.type, enabled=False):
            codes = network.codes.encode(images.to(device))
            text = self.data.embeddings.text_of(captions)
            dots = network.dot_buckets((images * text).sum(dim=1).to(device))
        dots = dots.masked_fill(dropped.to(device), network.no_caption)
        logits = model(codes, dots, conditioning)
        return -log_joint(logits, codes) / codes.shape[1]

    def held_out_losses(self, probe: Probe, conditioning: Conditioning) -> dict[str, float]:
        kept = torch.zeros(len(probe), dtype=torch.bool)
        nats = self._nats(self.network, probe.images, probe.captions, conditioning, kept)
        codes = self.network.codes.encode(probe.images.to(self.prior.device)).cpu()
        by_frequency = -log_joint(self.unigram.expand(len(codes), -1, -1), codes) / codes.shape[1]
        return {
            "held_out/nats_per_code": nats.mean().item(),
            "held_out/nats_per_code_unigram": by_frequency.mean().item(),
            "held_out/nats_per_code_uniform": math.log(self.network.config.num_buckets),
        }

    @cached_property
    def unigram(self) -> Float[Tensor, "codes buckets"]:
        """Log-probability of each code by its frequency in training, one more of each than there
        are, whatever the others are."""
        codes = self.network.codes.encode(self.data.image.to(self.prior.device)).cpu()
        return log_frequencies(codes, self.network.config.num_buckets)

    def losses_in_words(self, values: dict[str, float]) -> str:
        nats, unigram, uniform = (
            values[f"held_out/nats_per_code{name}"] for name in ("", "_unigram", "_uniform")
        )
        return (
            f"{nats:.3f} nats per code (by their frequencies {unigram:.3f}, uniform {uniform:.3f})"
        )


def log_frequencies(codes: Codes, num_buckets: int) -> Float[Tensor, "codes buckets"]:
    """log of (count + 1) / (n + B) of each code (n, K) at its place."""
    counts = torch.stack([column.bincount(minlength=num_buckets) for column in codes.T])
    return ((counts + 1) / (len(codes) + num_buckets)).log()
