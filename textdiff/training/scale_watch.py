"""Warns when CLIP's logit scale leaves the range in which training works.

    scale -> 1     all logits are alike: the features tell no pair from another (collapse)
    scale -> 100   the bound it is clamped to: the loss falls by sharpness alone (explosion)

No warning where it starts at a bound, as fine-tuning of OpenAI's models does.
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
        self._warned: set[str] = set()
        self._kept: tuple[Tensor, int] | None = None

    def keep(self, scale: Tensor, step: int) -> None:
        """Starts copying `scale` from a GPU, for `see_kept`; does not wait for it."""
        self._kept = scale.detach().to("cpu", non_blocking=True), step

    def see_kept(self) -> None:
        """Sees the scale kept last, if there is one. Call it after reading the step's loss: only
        then is the copy from the GPU complete."""
        if self._kept is not None:
            scale, step = self._kept
            self.see(scale.item(), step)

    def see(self, scale: float, step: int) -> None:
        """`scale`: exp(t) at `step`."""
        if self._first is None:
            self._first = scale
        if scale <= COLLAPSED < self._first:
            self._warn("collapsed", scale, step, "lower --train.lr or raise --train.batch-size")
        elif scale >= EXPLODED > self._first:
            self._warn("exploded", scale, step, "lower --train.lr")

    def _warn(self, what: str, scale: float, step: int, cure: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            logging.getLogger(__name__).warning(
                "step %d: the logit scale %s from %.3g to %.3g; %s",
                *(step, what, self._first, scale, cure),
            )
