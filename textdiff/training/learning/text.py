"""Whether text matters yet: the same x_t with another prompt.

    change = || x_0_hat(x_t, c) - x_0_hat(x_t, c') || / || x_0 - x_0' ||       c' the next caption

1 where another prompt makes x_0_hat another picture, as far as pictures are apart; 0 where the
network does not look. At timesteps where x_t alone does not tell the picture. A prompt matters
where its change, the mean over these timesteps, is at least `MATTERS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from textdiff.training.learning.probe import Denoiser, FixedNoise, Probe
from textdiff.types import Conditioning

LEVELS = (0.6, 0.9)  # of T
# 0 before training; quickstart: 0.13 after 300 steps by tokens alone, 0.31 after 400 with pooled
MATTERS = 0.15


@dataclass(frozen=True)
class TextResponse:
    """changes: by prompt."""

    changes: tuple[float, ...]

    @property
    def matter(self) -> int:
        """How many prompts change the picture."""
        return sum(change >= MATTERS for change in self.changes)

    def values(self) -> dict[str, float]:
        """For metrics.jsonl."""
        count = len(self.changes)
        return {
            "text/change": sum(self.changes) / count,
            "text/prompts": count,
            "text/prompts_that_matter": self.matter,
        }


@torch.no_grad()
def text_response(
    denoise: Denoiser, probe: Probe, conditioning: Conditioning, noise: FixedNoise
) -> TextResponse | None:
    """Of each caption of the probe. None where there are no two captions or pictures to tell apart,
    or x_0 is not what is predicted.

    Args:
        conditioning: of the probe's captions, which differ.
    """
    count = len(probe)
    if count < 2:
        return None
    other = conditioning[torch.arange(count).roll(-1)]
    changes = torch.zeros(count)
    for level in LEVELS:
        draws = noise.at_level(level, count)
        own, swapped = (denoise(probe.images, draws, text) for text in (conditioning, other))
        if own.x_0_hat is None or swapped.x_0_hat is None:
            return None
        moved = (own.x_0_hat - swapped.x_0_hat).flatten(1).norm(dim=1)
        apart = (own.x_0 - own.x_0.roll(-1, 0)).flatten(1).norm(dim=1)
        if not apart.all():
            return None
        changes += (moved / apart).cpu() / len(LEVELS)
    return TextResponse(tuple(changes.tolist()))
