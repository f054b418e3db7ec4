"""Memory of a training at a batch, from two readings.

    this machine   between max(line(B), e) and line(B) + (e - y_1)      line: peak of the process
    a GPU          line(B) + CONTEXT + copies of gradients              line: peak of live tensors

e: the peak with an evaluation and a checkpoint after steps at the small batch; they use again what
a step has freed, as far as it fits. Several GPUs exchange gradients in copies (DDP's buckets).
"""

from __future__ import annotations

from dataclasses import dataclass

from textdiff.training.plan.line import Estimate, Line, Reading
from textdiff.training.plan.reading import Held, StepReading

CONTEXT = 0.8e9  # bytes: CUDA's own, kernels, workspaces of cuBLAS and cuDNN
PAGE = 4e6  # bytes: what a reading of the process may be off by whatever it is
SAME_STEP = 0.01  # share by which the peak of a step may differ from run to run
ANOTHER_RUN = 0.05  # share by which that of a run may: where the allocator puts what
FRAGMENTS = 0.10  # share that a GPU's allocator may lose to fragments, or cuDNN take for itself


@dataclass(frozen=True)
class Part:
    """Bytes of something with a name."""

    name: str
    bytes: float


@dataclass(frozen=True)
class MemoryModel:
    """line: what was measured, by batch. fixed: bytes besides, whatever the batch. evaluation: e -
    y_1 from above."""

    line: Line
    held: Held
    fixed: float = 0.0
    evaluation: float = 0.0

    @classmethod
    def of_process(cls, first: StepReading, second: StepReading, tables: float) -> MemoryModel:
        """tables: bytes of what the readings lack."""
        line = Line(_reading(first), _reading(second), least=ANOTHER_RUN)
        more = max(0.0, first.evaluation - line.first.value)
        return cls(line, second.held, tables, more)

    @classmethod
    def of_gpu(
        cls, first: StepReading, second: StepReading, tables: float, gpus: int
    ) -> MemoryModel:
        line = Line(_exact(first), _exact(second), least=FRAGMENTS)
        copies = second.held.gradients if gpus > 1 else 0
        return cls(line, second.held, tables + CONTEXT + copies)

    def at(self, batch: int) -> Estimate:
        """Bytes in all."""
        step = self.line.at(batch)
        together = step.value + self.evaluation
        apart = max(step.value, self.line.first.value + self.evaluation)
        middle = (together + apart) / 2
        error = (step.error**2 + (together - middle) ** 2) ** 0.5
        return Estimate(middle + self.fixed, error)

    def parts(self, batch: int) -> list[Part]:
        """Of `at(batch).value`, which they add up to."""
        held, growing = self.held, self.line.slope * batch
        named = [
            Part("weights", held.weights),
            Part("gradients", held.gradients),
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


def _exact(step: StepReading) -> Reading:
    """Of tensors, which are the same at each step."""
    return Reading(step.batch, max(step.cost.peaks), 0.0)


def _reading(step: StepReading) -> Reading:
    """Of a process."""
    peaks = step.cost.peaks
    error = max(max(peaks) - min(peaks), SAME_STEP * max(peaks), PAGE)
    return Reading(step.batch, max(peaks), error)
