"""Memory of a training at a batch, from two readings.

    step(B)        E(B) + what is there besides                     E: live bytes, see `envelope`
    this machine   y - E(b) besides: libraries, the allocator's rest    y: peak of the process, at b
                   between max(step(B), e) and step(B) + (e - y_1)
    a GPU          CONTEXT and, on several, copies of the gradients besides

e: the peak with an evaluation and a checkpoint after steps at the small batch, y_1 without; they
use again what a step has freed, as far as it fits. Several GPUs exchange gradients in copies (DDP's
buckets).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from textdiff.training.plan.envelope import Envelope
from textdiff.training.plan.line import Estimate
from textdiff.training.plan.reading import Held, StepReading

CONTEXT = 0.8e9  # bytes: CUDA's own, kernels, workspaces of cuBLAS and cuDNN
ANOTHER_RUN = 0.05  # share by which the peak of a run may differ: where the allocator puts what
FRAGMENTS = 0.10  # share that an allocator may lose to fragments, or kernels take for themselves


@dataclass(frozen=True)
class Part:
    """Bytes of something with a name."""

    name: str
    bytes: float


@dataclass(frozen=True)
class MemoryModel:
    """besides: bytes beside those of live tensors. small: y_1 above. evaluation: e - y_1.

    least, growth: shares of all, and of what grows from the larger of the measured batches on, that
    it may be off by; measured: that batch.
    """

    live: Envelope
    held: Held
    besides: float
    least: float
    growth: float = 0.0
    measured: int = 0
    small: float = 0.0
    evaluation: float = 0.0

    @classmethod
    def of_process(cls, first: StepReading, second: StepReading, tables: float) -> MemoryModel:
        """tables: bytes of what the readings lack."""
        live, small = envelope_of(first, second), max(first.cost.peaks)
        return cls(
            live,
            second.held,
            besides=max(second.cost.peaks) - live.at(second.batch) + tables,
            least=ANOTHER_RUN,
            growth=FRAGMENTS,
            measured=second.batch,
            small=small + tables,
            evaluation=max(0.0, first.evaluation - small),
        )

    @classmethod
    def of_gpu(
        cls, first: StepReading, second: StepReading, tables: float, gpus: int
    ) -> MemoryModel:
        copies = second.held.gradients if gpus > 1 else 0
        besides = tables + CONTEXT + copies
        return cls(envelope_of(first, second), second.held, besides, least=FRAGMENTS)

    def at(self, batch: int) -> Estimate:
        """Bytes in all."""
        step = self.live.at(batch) + self.besides
        together = step + self.evaluation
        apart = max(step, self.small + self.evaluation)
        grown = abs(self.live.at(batch) - self.live.at(self.measured))
        parts = (self.least * step, self.growth * grown, (together - apart) / 2)
        return Estimate((together + apart) / 2, math.hypot(*parts))

    def parts(self, batch: int) -> list[Part]:
        """Of `at(batch).value`, which they add up to."""
        held, growing = self.held, self.live.growing(batch)
        named = [
            Part("weights", held.weights),
            Part("gradients, where the step needs most", self._gradients(batch)),
            Part("optimizer", held.optimizer),
            Part("moving average", held.average),
            Part("frozen networks and tables", held.others),
            Part("activations, and what else grows with the batch", growing),
        ]
        rest = self.at(batch).value - sum(part.bytes for part in named)
        return [*named, Part("libraries, evaluation, the allocator's rest", rest)]

    def largest_batch(self, capacity: float, most: int = 2**20) -> int:
        """That fits with its error; 0: none."""
        low, high = 0, most + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.at(middle).high <= capacity else (low, middle)
        return low

    def _gradients(self, batch: int) -> float:
        """Those that are there at the peak: the rest of it that does not grow, all of them at
        most."""
        held = self.held.total - self.held.gradients
        rest = self.live.at(batch) - self.live.growing(batch) - held
        return min(float(self.held.gradients), max(0.0, rest))


def envelope_of(first: StepReading, second: StepReading) -> Envelope:
    batches = (first.batch, second.batch)
    return Envelope.through(first.cost.live, second.cost.live, batches)
