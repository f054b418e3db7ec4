"""Keeps what is not finite out of a run: a step whose loss or gradient norm is NaN or infinite on
some process is taken by none.

    all processes agree ──► weights, moments, average stay ──► metrics.jsonl, a line with sample ids
                                                    too many ──► NonFiniteLossError
    before a checkpoint ──► weights, moments, average are finite, or it is not written

What the forward pass itself changed, the statistics of batch norms, is put back. The step counts as
done, so that a resumed run leaves out the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from textdiff.errors import NonFiniteLossError
from textdiff.training.health import Health
from textdiff.training.processes import on_any
from textdiff.training.run_folder import RunFolder
from textdiff.training.saved_state import TrainingState, newest_steady
from textdiff.training.task import AfterSkip, Task

if TYPE_CHECKING:
    from accelerate import Accelerator

NAMED = 8  # samples in a message


class Guard:
    """Of one run.

    Args:
        budget: steps that may be left out in all.
        health: of the run so far.
        rates: flags of the learning rates, for messages.
    """

    def __init__(
        self,
        task: Task,
        run: RunFolder,
        accelerator: Accelerator,
        *,
        budget: int,
        health: Health,
        rates: str = "--train.lr",
    ) -> None:
        self.task, self.run, self.accelerator = task, run, accelerator
        self.budget, self.health, self.rates = budget, health, rates
        self.scaler = accelerator.scaler
        self._statistics = BatchStatistics(task.model)

    def before_step(self) -> None:
        """Before the forward pass."""
        self._statistics.keep()

    def lets(
        self,
        step: int,
        *,
        losses: dict[str, float],
        norms: dict[str, float],
        samples: Tensor,
        finite: Tensor,
    ) -> bool:
        """Whether step number `step` (0 first) may be taken; all processes call it together.

        Args:
            losses, norms: by what messages call them; "loss" is the one that is watched.
            samples, finite: ids (B,) of this process, and whether the loss of each is finite.

        Raises:
            NonFiniteLossError: too many may not.
        """
        # with a larger scale fp16's scaler skips such a step by itself, and lowers it
        needed = losses | (norms if self.scaler is None or self.scaler.get_scale() <= 1 else {})
        if not on_any(self.accelerator, not all(map(math.isfinite, needed.values()))):
            self.health.see(losses["loss"])
            return True
        known = not math.isfinite(losses["loss"])  # whose it is
        named = samples[~finite.to(samples.device)] if known else samples
        self._leave_out(bad_step(self.accelerator, step, needed, named.tolist()))
        return False

    def _leave_out(self, bad: BadStep) -> None:
        self.health.skip()
        over = self.health.over(self.budget)
        if over:
            # weights of this streak are those of its first step: what was saved since has them too
            lost = bad.step + 1 - self.health.in_a_row
            raise NonFiniteLossError(f"{bad}; {over}; {self._way_back(lost)}")
        self._statistics.put_back()
        if self.scaler is not None:
            self.scaler.update()
        if isinstance(self.task, AfterSkip):
            self.task.after_skip()
        self.run.log(bad.step + 1, {"skipped_steps": self.health.skipped})
        self.accelerator.print(
            f"left out: {bad}; so far {self.health.skipped} of the {self.budget} steps that "
            "--train.max-skipped-steps allows"
        )

    def check(self, state: TrainingState, step: int) -> None:
        """Raises NonFiniteLossError if anything that a checkpoint would hold is not finite."""
        broken = state.first_not_finite()
        if broken is not None:
            raise NonFiniteLossError(
                f"after step {step} there are values that are not finite in {broken}: not saved; "
                f"{self._way_back(step)}"
            )

    def _way_back(self, lost: int) -> str:
        """From where to go on if the weights of step `lost`, and any later ones, are of no use."""
        steady = newest_steady(self.run.checkpoints, before=lost)
        if steady is None:
            return (
                f"no checkpoint is from before the loss rose: lower {self.rates} and name another "
                "--run-dir, or look at these samples"
            )
        return (
            f"newest checkpoint from before the loss rose: {steady}; move later ones away and "
            f"lower {self.rates}, or look at these samples"
        )


@dataclass(frozen=True)
class BadStep:
    """What was not finite at `step`, and the ids of the samples that it was met with."""

    step: int
    what: str
    samples: list[int]

    def __str__(self) -> str:
        more = ", ..." if len(self.samples) > NAMED else ""
        return f"the {self.what} at step {self.step} (samples {self.samples[:NAMED]}{more})"


def bad_step(
    accelerator: Accelerator, step: int, values: dict[str, float], samples: Sequence[int]
) -> BadStep:
    """Of all processes, which call this together; names the samples of those that met the cause.

    Args:
        values: what must be finite, by name, causes before effects: a loss that is NaN in one
            process makes the gradients NaN in all.
        samples: of this process.
    """
    met = [
        (place, f"{name} is {value}", list(samples))
        for place, (name, value) in enumerate(values.items())
        if not math.isfinite(value)
    ]
    if accelerator.num_processes > 1:
        from accelerate.utils import gather_object

        met = gather_object(met)
    first = min(place for place, _, _ in met)
    causes = [(what, ids) for place, what, ids in met if place == first]
    return BadStep(step, causes[0][0], [sample for _, ids in causes for sample in ids])


class BatchStatistics:
    """The buffers of a model's batch norms, which a forward pass changes."""

    def __init__(self, model: nn.Module) -> None:
        norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self._buffers = [buffer for norm in norms for buffer in norm.buffers()]
        self._kept: list[Tensor] = []

    def keep(self) -> None:
        """As they are now."""
        self._kept = [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def put_back(self) -> None:
        """As they were kept."""
        for buffer, kept in zip(self._buffers, self._kept, strict=True):
            buffer.copy_(kept)
