"""What a training will take: two small steps, measured, and carried on to its batch and length."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.precision import bf16_pays
from textdiff.training.captions import LIMIT_BYTES
from textdiff.training.config import TrainConfig
from textdiff.training.plan.child import measure_twice
from textdiff.training.plan.disk import disk_parts
from textdiff.training.plan.gpus import GPUS, Gpu
from textdiff.training.plan.line import Estimate
from textdiff.training.plan.memory import MemoryModel, Part
from textdiff.training.plan.reading import StepJob, StepReading
from textdiff.training.plan.settings import (
    PlanOptions,
    TaskName,
    task_of,
    training_settings,
)
from textdiff.training.plan.speed import days, estimated_speed, measured_speed
from textdiff.training.plan.stand_ins import with_stand_ins


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


@dataclass(frozen=True, kw_only=True)
class Plan:
    """batch: of a process, in one forward pass. processes: devices that train together.

    images: to train on in all. flops_per_image: of a training step; None: not counted.
    measured: the batches of the two steps. disk: bytes. notes: what stood in for what, a line each.
    """

    task: TaskName
    name: str
    parameters: int
    trained: int
    batch: int
    accumulation: int
    processes: int
    precision: str
    images: float
    flops_per_image: float | None
    measured: tuple[int, int]
    devices: list[DevicePlan]
    disk: list[Part]
    notes: list[str]


def make_plan(settings: Settings) -> Plan:
    """settings: of `settings.schema_of` a task.

    Raises:
        TextdiffError: as the training's own command, before it trains.
    """
    options, task = cast(PlanOptions, settings), task_of(settings)
    with tempfile.TemporaryDirectory(prefix="textdiff-plan-") as name:
        folder = Path(name)
        training, notes = with_stand_ins(
            task, training_settings(settings), folder, without_data=options.data_images is not None
        )
        precision, told = precision_for(options, train_of(training).precision)
        training = without_caches(training, precision)
        values = training.model_dump(mode="json", exclude_unset=True)
        job = StepJob(
            task=task,
            settings={**values, "run_dir": name},
            batch=0,
            out="",
            live=options.on_gpu,
            evaluate=False,
            captions=options.data_images,
            cached=caches_latents(training_settings(settings)),
        )
        readings = measure_twice(job, folder)
    return assemble(settings, readings, [*notes, *told])


def assemble(
    settings: Settings, readings: tuple[StepReading, StepReading], notes: list[str]
) -> Plan:
    """From what was measured."""
    options, train = cast(PlanOptions, settings), train_of(settings)
    first, second = readings
    images = options.images or float(
        train.steps * train.batch_size * train.accumulation * options.gpus
    )
    flops = (
        None if second.cost.flops is None else second.cost.flops / (second.batch * passes(train))
    )
    if flops is None:
        devices = [on_this_machine(options, train, readings, images)]
    else:
        devices = [
            on_gpu(name, gpu, options, train, readings, flops=flops, images=images)
            for name, gpu in asked_gpus(options).items()
        ]
    rows = options.data_images or second.rows
    return Plan(
        task=task_of(settings),
        name=second.name,
        parameters=second.parameters,
        trained=second.trained,
        batch=train.batch_size,
        accumulation=train.accumulation,
        processes=options.gpus,
        precision=second.precision,
        images=images,
        flops_per_image=flops,
        measured=(first.batch, second.batch),
        devices=devices,
        disk=disk_parts(training_settings(settings), second, rows),
        notes=notes,
    )


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


def precision_for(options: PlanOptions, asked: str) -> tuple[str, list[str]]:
    """What a step is measured in, and a line where that is not what it is for."""
    if not options.on_gpu or asked == "no":
        return asked, []
    if bf16_pays("cpu"):
        return "bf16", []
    return "no", ["measured in fp32, as bf16 is slow here; in bf16 it takes less memory"]


def caches_latents(training: Settings) -> bool:
    """Whether training reads latents from a cache."""
    data = getattr(training, "data", None)
    return isinstance(data, DataConfig) and data.cache != "off"


def without_caches(training: Settings, precision: str) -> Settings:
    """`training` in a precision, its data read from where they are."""
    train = train_of(training).model_copy(update={"precision": precision})
    changes: dict[str, Any] = {"train": train}
    data = getattr(training, "data", None)
    if isinstance(data, DataConfig):
        changes["data"] = data.model_copy(update={"cache": "off"})
    return training.model_copy(update=changes)


def train_of(settings: Settings) -> TrainConfig:
    """Every training has it."""
    train = settings.train  # type: ignore[attr-defined]
    assert isinstance(train, TrainConfig)
    return train
