"""Says when CLIP's logit scale leaves the range in which it means something.

    scale -> 1     all logits are alike: the features tell no pair from another (collapse)
    scale -> 100   the bound it is clamped to: the loss falls by sharpness alone (explosion)

A scale that begins at a bound, as OpenAI's models end there, says nothing.
"""

from __future__ import annotations

import logging

from torch import Tensor

from textdiff.clip.model import MAX_LOGIT_SCALE

COLLAPSED, EXPLODED = 2.0, 0.999 * MAX_LOGIT_SCALE


class ScaleWatch:
    """Warns once for each bound."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._said: set[str] = set()
        self._kept: tuple[Tensor, int] | None = None

    def keep(self, scale: Tensor, step: int) -> None:
        """Remembers `scale` for `see_kept`, without waiting for a GPU."""
        self._kept = scale.detach().to("cpu", non_blocking=True), step

    def see_kept(self) -> None:
        """Sees what was kept last, if anything was; only once the GPU has been waited for, as it
        has when a step's loss is known."""
        if self._kept is not None:
            scale, step = self._kept
            self.see(scale.item(), step)

    def see(self, scale: float, step: int) -> None:
        """`scale`: exp(t) at `step`."""
        if self._first is None:
            self._first = scale
        if scale <= COLLAPSED < self._first:
            self._say("collapsed", scale, step, "lower --train.lr or raise --train.batch-size")
        elif scale >= EXPLODED > self._first:
            self._say("exploded", scale, step, "lower --train.lr")

    def _say(self, what: str, scale: float, step: int, cure: str) -> None:
        if what not in self._said:
            self._said.add(what)
            logging.getLogger(__name__).warning(
                "step %d: the logit scale %s from %.3g to %.3g; %s",
                *(step, what, self._first, scale, cure),
            )
