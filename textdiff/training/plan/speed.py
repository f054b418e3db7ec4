"""How fast a training goes, and how long it takes.

this machine   images/s = B / t(B)                              t: a line through seconds of steps
a GPU          images/s = utilisation x peak FLOP/s / FLOPs of an image
"""

from __future__ import annotations

import statistics

from textdiff.training.plan.gpus import Gpu
from textdiff.training.plan.line import Estimate, Line, Reading
from textdiff.training.plan.reading import StepReading

DAY = 86_400.0
LEAST = 0.1  # share that seconds on a machine with other work may be off by
GUESSED_SHARE = 0.5  # of a guessed utilisation


def measured_speed(first: StepReading, second: StepReading, *, batch: int, passes: int) -> Estimate:
    """Images per second of one process. passes: forward passes of a step."""
    seconds = Line(_seconds(first), _seconds(second), least=LEAST).at(batch)
    speed = batch * passes / seconds.value
    return Estimate(speed, speed * min(1.0, seconds.error / seconds.value))


def estimated_speed(gpu: Gpu, flops_per_image: float, utilisation: float, gpus: int) -> Estimate:
    """Images per second of all; the utilisation may be off by `GUESSED_SHARE` of it."""
    speed = gpus * utilisation * gpu.tflops * 1e12 / flops_per_image
    return Estimate(speed, GUESSED_SHARE * speed)


def days(images: float, speed: Estimate) -> Estimate:
    """To so many."""
    middle = images / speed.value / DAY
    return Estimate(middle, middle * speed.error / speed.value)


def _seconds(step: StepReading) -> Reading:
    seconds = step.cost.seconds
    return Reading(step.batch, statistics.median(seconds), (max(seconds) - min(seconds)) / 2)
