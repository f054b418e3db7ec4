"""unCLIP's priors as tasks: embeddings and captions of a file, no picture.

z_i, caption ── (seed, step, sample id) ──► caption dropped or not, noise, timestep ──► loss
every so often:   losses of held-out rows;  embeddings drawn for their captions, how near they
                  come to the images, and how often they find them
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from textdiff.data.embeddings import EmbeddedImages
from textdiff.metrics.embeddings import cosines, of_another_caption, search
from textdiff.pipeline.prior.config import PriorSampling
from textdiff.pipeline.prior.drawing import seeds_of
from textdiff.pipeline.prior.prior import Prior, PriorNetwork
from textdiff.training.learning.probe import Probe
from textdiff.training.learning.words import recall_verdict
from textdiff.training.run_folder import RunFolder
from textdiff.types import Batch, Conditioning


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
