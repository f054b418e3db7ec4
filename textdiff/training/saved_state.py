"""What a checkpoint of a run holds, and how a run continues from it.

<task>.safetensors   the weights              ema.safetensors    their average
optimizer            its moments, by name     task               what the task itself remembers
discriminator, discriminator_optimizer        the task's adversary, where it has one
state.json           step, seconds, number of EMA updates, fp16's scale, threads on a CPU, fixed
                     settings, data
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from textdiff import checkpoint
from textdiff.threads import threads_on
from textdiff.training.adversary import AdversaryStep
from textdiff.training.ema import EMA
from textdiff.training.fixed import check_fixed
from textdiff.training.optimizer import load_optimizer, optimizer_tensors


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """All that changes while a run lasts, but for its progress. Loading fills it in place.

    name: of the task, and of the file of its weights.
    scaler: of losses in fp16, None in other precisions.
    task: tensors that the task remembers.
    fixed: settings as JSON; a resumed run must have exactly the same.
    about_data: what `fixed.about_data` says of the data; for messages.
    adversary: the network that is trained against `model`, with its optimizer.
    """

    name: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    ema: EMA | None
    scaler: torch.amp.GradScaler | None
    task: dict[str, Tensor]
    fixed: dict[str, Any]
    about_data: dict[str, Any] = field(default_factory=dict)
    adversary: AdversaryStep | None = None


def write_checkpoint(
    folder: Path, state: TrainingState, *, step: int, seconds: float, keep: int
) -> Path:
    """Writes the checkpoint of `step` under `folder`, of which the newest `keep` stay."""
    groups = {
        state.name: state.model.state_dict(),
        "optimizer": optimizer_tensors(state.optimizer, state.model),
    }
    if state.ema:
        groups["ema"] = state.ema.averages
    if state.task:
        groups["task"] = state.task
    if state.adversary:
        network, name = state.adversary.network, state.adversary.name
        groups[name] = network.state_dict()
        groups[f"{name}_optimizer"] = optimizer_tensors(state.adversary.optimizer, network)
    values = {
        "seconds": seconds,
        "ema_updates": state.ema.updates if state.ema else 0,
        "scaler": state.scaler.state_dict() if state.scaler is not None else None,
        "threads": threads_on(next(state.model.parameters()).device.type),
        "fixed": state.fixed,
        "data": state.about_data,
    }
    return checkpoint.save_checkpoint(folder, step, groups, values, keep)


def read_checkpoint(folder: Path, state: TrainingState) -> tuple[int, float]:
    """Fills `state`; returns the step of the checkpoint and the seconds of training until it.

    Raises:
        CheckpointError: made with other settings, or of another model.
    """

    def tensors(stem: str) -> dict[str, Tensor]:
        return checkpoint.load_tensors(folder / f"{stem}.safetensors")

    values = checkpoint.load_state(folder)
    check_fixed(
        values["fixed"],
        state.fixed,
        folder,
        saved_data=values.get("data", {}),
        data=state.about_data,
    )
    weights = folder / f"{state.name}.safetensors"
    checkpoint.load_module(state.model, tensors(state.name), weights)
    where = str(folder / "optimizer")
    load_optimizer(state.optimizer, state.model, tensors("optimizer"), where)
    if state.ema:
        averages = tensors("ema")
        for name, average in state.ema.averages.items():
            average.copy_(averages[name])
        state.ema.updates = values["ema_updates"]
    if state.task:
        saved = tensors("task")
        for name, tensor in state.task.items():
            tensor.copy_(saved[name])
    if state.adversary:
        network, name = state.adversary.network, state.adversary.name
        checkpoint.load_module(network, tensors(name), folder / f"{name}.safetensors")
        where = str(folder / f"{name}_optimizer")
        load_optimizer(state.adversary.optimizer, network, tensors(f"{name}_optimizer"), where)
    if state.scaler is not None:
        state.scaler.load_state_dict(values["scaler"])
    return values["step"], values["seconds"]
