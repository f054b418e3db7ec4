"""unCLIP's autoregressive prior as a task.

z_i ──► codes, dot = bucket of z_i . z_t
loss = - (log p(codes | caption, dot) + log p(dot | caption)) / K
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textdiff.data.embeddings import EmbeddedImages
from textdiff.models.autoregressive import log_joint
from textdiff.models.autoregressive_prior import AutoregressivePrior
from textdiff.models.codes import Codes
from textdiff.training.draws import draw, keys_of, uniform_timesteps
from textdiff.training.learning.probe import Probe
from textdiff.training.tasks.prior import PriorTask
from textdiff.types import Batch, Conditioning, Features, PerSample


@dataclass(kw_only=True)
class AutoregressivePriorTask(PriorTask):
    """Nats per code: of the codes, and a share of the dot's.

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
        of_codes, of_dot = self._nats(model, batch.image, batch.captions, conditioning, dropped)
        return {"loss": of_codes + of_dot, "nats_per_code": of_codes.detach()}

    def _nats(
        self,
        model: nn.Module,
        images: Features,
        captions: Sequence[str],
        conditioning: Conditioning,
        dropped: Tensor,
    ) -> tuple[PerSample, PerSample]:
        """Of codes and dot, over the number of codes.

        captions: what the dot products are with; where they are dropped, the dot is not asked.
        """
        device, network = self.prior.device, self.network
        with torch.autocast(device.type, enabled=False):
            codes = network.codes.encode(images.to(device))
            text = self.data.embeddings.text_of(captions)
            dots = network.dot_buckets((images * text).sum(dim=1).to(device))
        dropped, count = dropped.to(device), codes.shape[1]
        shown = dots.masked_fill(dropped, network.no_caption)
        logits, dot_logits = model(codes, shown, conditioning)
        of_dot = -log_joint(dot_logits[:, None], dots[:, None]) / count
        return -log_joint(logits, codes) / count, of_dot.masked_fill(dropped, 0.0)

    def held_out_losses(self, probe: Probe, conditioning: Conditioning) -> dict[str, float]:
        kept = torch.zeros(len(probe), dtype=torch.bool)
        nats, _ = self._nats(self.network, probe.images, probe.captions, conditioning, kept)
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
