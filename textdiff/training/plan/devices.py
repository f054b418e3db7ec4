"""A plan for a device: this machine as it was measured, or a GPU that need not be here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textdiff.training.captions import LIMIT_BYTES
from textdiff.training.config import TrainConfig
from textdiff.training.plan.gpus import GPUS, Gpu
from textdiff.training.plan.line import Estimate
from textdiff.training.plan.memory import MemoryModel, Part
from textdiff.training.plan.reading import StepReading
from textdiff.training.plan.settings import PlanOptions
from textdiff.training.plan.speed import days, estimated_speed, measured_speed


@dataclass(frozen=True, kw_only=True)
class DevicePlan:
    """On a kind of device.

    capacity: bytes of memory. needed: bytes at the settings' batch, of which `parts` are.
    largest_batch: that fits with its error; 0: none; None: `encoder_batch_size` bounds memory.
    speed: images per second of all devices; None: not known. days: to `Plan.images`.
    """

    device: str
    capacity: float
    needed: Estimate
    parts: list[Part]
    largest_batch: int | None
    speed: Estimate | None = None
    days: Estimate | None = None


def on_this_machine(
    options: PlanOptions,
    train: TrainConfig,
    readings: tuple[StepReading, StepReading],
    images: float,
) -> DevicePlan:
    second = readings[1]
    model = MemoryModel.of_process(*readings, tables=missing_tables(options, second))
    speed = measured_speed(*readings, batch=train.batch_size, passes=passes(train))
    threads = f", {second.threads} thread{'s' * (second.threads != 1)}"
    return DevicePlan(
        device=f"this machine ({second.device}{threads if second.device == 'cpu' else ''})",
        capacity=second.capacity,
        **in_memory(model, train, second.capacity),
        speed=speed,
        days=days(images, speed),
    )


def on_gpu(
    name: str,
    gpu: Gpu | None,
    options: PlanOptions,
    train: TrainConfig,
    readings: tuple[StepReading, StepReading],
    *,
    flops: float,
    images: float,
) -> DevicePlan:
    """gpu: None: of `options.gpu_memory`, and no kind that is known."""
    tables = missing_tables(options, readings[1])
    model = MemoryModel.of_gpu(*readings, tables=tables, gpus=options.gpus)
    capacity = 1e9 * (options.gpu_memory or 0.0 if gpu is None else gpu.memory)
    speed = None
    if gpu is not None and multiplies_halves(gpu, train.precision):
        speed = estimated_speed(gpu, flops, options.utilisation, options.gpus)
    return DevicePlan(
        device=name,
        capacity=capacity,
        **in_memory(model, train, capacity),
        speed=speed,
        days=None if speed is None else days(images, speed),
    )


def in_memory(model: MemoryModel, train: TrainConfig, capacity: float) -> dict[str, Any]:
    """The fields of `DevicePlan` that tell of memory."""
    groups = getattr(train, "encoder_batch_size", None)
    batch = train.batch_size if groups is None else min(train.batch_size, 2 * groups)
    return {
        "needed": model.at(batch),
        "parts": model.parts(batch),
        "largest_batch": model.largest_batch(capacity) if groups is None else None,
    }


def asked_gpus(options: PlanOptions) -> dict[str, Gpu | None]:
    """By name; None: of memory alone."""
    kinds: dict[str, Gpu | None] = {kind: GPUS[kind] for kind in options.gpu}
    if options.gpu_memory is not None:
        kinds[f"a GPU of {options.gpu_memory:g} GB"] = None
    return kinds


def multiplies_halves(gpu: Gpu, precision: str) -> bool:
    """Whether training there takes the arithmetic that its peak is told of."""
    return precision == "fp16" or (gpu.bf16 and precision in ("auto", "bf16"))


def missing_tables(options: PlanOptions, reading: StepReading) -> float:
    """Bytes of the features of captions that are not here."""
    size = (options.data_images or 0) * reading.text_bytes
    return float(size if size <= LIMIT_BYTES else 0)


def passes(train: TrainConfig) -> int:
    """Forward passes of a step as it is measured."""
    return min(2, train.accumulation)
