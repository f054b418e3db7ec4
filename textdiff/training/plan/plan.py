"""What a training will take: two small steps, measured, and carried on to its batch and length."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.precision import bf16_pays
from textdiff.training.plan.child import measure_twice
from textdiff.training.plan.devices import (
    DevicePlan,
    asked_gpus,
    on_gpu,
    on_this_machine,
    passes,
)
from textdiff.training.plan.disk import disk_parts
from textdiff.training.plan.memory import Part
from textdiff.training.plan.reading import StepJob, StepReading
from textdiff.training.plan.settings import (
    PlanOptions,
    TaskName,
    task_of,
    train_of,
    training_settings,
)
from textdiff.training.plan.stand_ins import with_stand_ins
from textdiff.training.settings.noised_clip import FinetuneClipSettings


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
        readings = measure_twice(job, folder, train_of(training).batch_size)
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


def precision_for(options: PlanOptions, asked: str) -> tuple[str, list[str]]:
    """What a step is measured in, and a line where that is not what it is for."""
    if not options.on_gpu or asked == "no":
        return asked, []
    if bf16_pays("cpu"):
        return "bf16", []
    return "no", ["measured in fp32, as bf16 is slow here; in bf16 it takes less memory"]


def caches_latents(training: Settings) -> bool:
    """Whether training reads latents from a cache, if it is of latents."""
    if isinstance(training, FinetuneClipSettings) and training.reads_pictures:
        return False
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
