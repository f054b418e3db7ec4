"""What a process is asked to measure of a step of a training, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from textdiff.training.plan.settings import TaskName


@dataclass(frozen=True, kw_only=True)
class StepJob:
    """What a process is to measure.

    settings: of the training, as JSON, without what was left out.
    live: live tensors and FLOPs, as on a GPU, in place of the process.
    evaluate: an evaluation and a checkpoint besides, after the steps.
    captions: of data that are not here; None: those that are.
    cached: latents are read from a cache, so that no step encodes pictures.
    """

    task: TaskName
    settings: dict[str, Any]
    batch: int
    out: str
    live: bool
    evaluate: bool
    captions: int | None
    cached: bool


@dataclass(frozen=True)
class Cost:
    """live: bytes of live tensors after each operation of a step. peaks: bytes held at most by the
    process during each step. seconds: of each. work: of each, in seconds of processor time, however
    busy the machine is. flops: of one step; None: not counted."""

    live: list[int]
    peaks: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    flops: int | None = None


@dataclass(frozen=True, kw_only=True)
class Held:
    """Bytes from step to step. others: of tensors that are none of these, such as frozen networks
    and tables. adversary: those of `weights` that are of a network trained against the task's."""

    weights: int
    gradients: int
    optimizer: int
    average: int
    others: int
    adversary: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.average + self.others


@dataclass(frozen=True, kw_only=True)
class StepReading:
    """What a step at a batch costs.

    name, parameters: of what is trained, an adversary included; trained: of the parameters.
    setup: bytes held at most before the first step.
    evaluation: bytes held at most until an evaluation and a checkpoint were done; 0: not measured.
    capacity: bytes of memory there.
    latent_bytes: of a picture's latents as a cache keeps them; 0: none is, or pixels are diffused.
    rows: samples of the data. texts: their distinct captions. text_bytes: of one of them as it is
        kept; 0: none is.
    """

    batch: int
    name: str
    parameters: int
    trained: int
    held: Held
    setup: int
    evaluation: int
    cost: Cost
    precision: str
    device: str
    threads: int
    capacity: int
    rows: int
    texts: int
    text_bytes: int
    latent_bytes: int

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> StepReading:
        return cls(**{**tree, "held": Held(**tree["held"]), "cost": Cost(**tree["cost"])})
