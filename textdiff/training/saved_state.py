"""What a checkpoint of a run holds, and how a run continues from it.

<task>.safetensors   the weights              ema.safetensors    their average
optimizer            its moments, by name     task               what the task itself remembers
discriminator, discriminator_optimizer        the task's adversary, where it has one
state.json           step, seconds, number of EMA updates, fp16's scale, threads on a CPU, torch,
                     health, the open row of metrics, whether an evaluation is due, fixed settings,
                     data
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from textdiff import checkpoint
from textdiff.errors import CheckpointError
from textdiff.threads import threads_on
from textdiff.training.adversary import AdversaryStep
from textdiff.training.ema import EMA
from textdiff.training.fixed import check_fixed
from textdiff.training.health import Health
from textdiff.training.optimizer import load_optimizer, optimizer_tensors
from textdiff.training.progress import Progress


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """All that changes while a run lasts, but for its progress. Loading fills it in place.

    name: of the task, and of the file of its weights.
    scaler: of losses in fp16, None in other precisions.
    task: tensors that the task remembers.
    fixed: settings as JSON; a resumed run must have exactly the same.
    health: its losses so far.
    about_data: what `fixed.about_data` says of the data; for messages.
    windows: `window.Window` of each process, as JSON; the checkpoint's once it is loaded.
    adversary: the network that is trained against `model`, with its optimizer.
    """

    name: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    ema: EMA | None
    scaler: torch.amp.GradScaler | None
    task: dict[str, Tensor]
    fixed: dict[str, Any]
    health: Health = field(default_factory=Health)
    about_data: dict[str, Any] = field(default_factory=dict)
    windows: list[dict[str, Any]] = field(default_factory=list)
    adversary: AdversaryStep | None = None

    def groups(self) -> dict[str, dict[str, Tensor]]:
        """All tensors, by the stem of their file."""
        groups = {
            self.name: self.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer, self.model),
        }
        if self.ema:
            groups["ema"] = self.ema.averages
        if self.task:
            groups["task"] = self.task
        if self.adversary:
            network, name = self.adversary.network, self.adversary.name
            groups[name] = network.state_dict()
            groups[f"{name}_optimizer"] = optimizer_tensors(self.adversary.optimizer, network)
        return groups

    def first_not_finite(self) -> str | None:
        """`file: tensor` of the first that holds NaN or infinity; None: none does."""
        for stem, tensors in self.groups().items():
            name = checkpoint.first_not_finite(tensors)
            if name is not None:
                return f"{stem}: {name}"
        return None


def write_checkpoint(folder: Path, state: TrainingState, progress: Progress, keep: int) -> Path:
    """Writes the checkpoint of this `progress` under `folder`, of which the newest `keep` stay and,
    while the run is not steady, the newest from before besides."""
    device = next(state.model.parameters()).device.type
    values = {
        "seconds": progress.elapsed(),
        "unevaluated": progress.unevaluated,
        "ema_updates": state.ema.updates if state.ema else 0,
        "scaler": state.scaler.state_dict() if state.scaler is not None else None,
        "threads": threads_on(device),
        **_arithmetic(state),
        "health": state.health.to_json(),
        "windows": state.windows,
        "fixed": state.fixed,
        "data": state.about_data,
    }
    spared = _spared(folder, state, progress)
    return checkpoint.save_checkpoint(folder, progress.step, state.groups(), values, keep, spared)


def prune_checkpoints(folder: Path, state: TrainingState, progress: Progress, keep: int) -> None:
    """What `write_checkpoint` would have removed, had the process not been killed before."""
    checkpoint.prune(folder, progress.step, keep, _spared(folder, state, progress))


def _spared(folder: Path, state: TrainingState, progress: Progress) -> Path | None:
    health = state.health
    if health.steady:
        return None
    return newest_steady(folder, before=progress.step - health.in_a_row)


def newest_steady(root: Path, before: int) -> Path | None:
    """The newest good checkpoint under `root` of a step below `before` that was steady."""
    for step, folder in checkpoint.steps_of(root).items():
        if step >= before:
            continue
        try:
            checkpoint.verify(folder)
            health = Health()
            health.fill(checkpoint.load_state(folder).get("health", {}))
        except CheckpointError:
            continue
        if health.steady:
            return folder
    return None


def read_checkpoint(folder: Path, state: TrainingState) -> Progress:
    """Fills `state`; returns how far the run was.

    Raises:
        CheckpointError: made with other settings, of another model, or not finite.
    """

    def tensors(stem: str) -> dict[str, Tensor]:
        file = folder / f"{stem}.safetensors"
        loaded = checkpoint.load_tensors(file)
        checkpoint.check_finite(loaded, file)
        return loaded

    values = checkpoint.load_state(folder)
    for key in ("seconds", "ema_updates", "fixed"):
        if key not in values:
            raise CheckpointError(f"{folder / checkpoint.STATE} has no {key}: it is damaged")
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
    state.health.fill(values.get("health", {}))
    state.windows[:] = values.get("windows", [])
    return Progress(values["step"], values["seconds"], values.get("unevaluated") is True)


def rounds_otherwise(
    folder: Path, state: TrainingState, processes: int, *, timed: bool
) -> str | None:
    """Why a run that goes on from the checkpoint in `folder` in so many `processes` will not have
    the bits that it would have had without a stop; None: nothing is known. Of threads
    `cpu_threads` says it.

    Args:
        timed: `max_minutes` is set, so that the learning rate follows the clock.
    """
    saved = checkpoint.load_state(folder)
    before = {**saved, "processes": len(saved.get("windows", [])) or None}
    now = {**_arithmetic(state), "processes": processes}
    changed = [
        f"{name} {before[name]} before, {value} now"
        for name, value in now.items()
        if before.get(name) not in (None, value)
    ]
    if timed:
        changed.append("train.max_minutes lets the clock decide")
    if not changed:
        return None
    return f"it goes on, but not to the bits of a run without a stop: {', '.join(changed)}"


def _arithmetic(state: TrainingState) -> dict[str, str]:
    """What bits depend on, besides threads and processes."""
    device = next(state.model.parameters()).device
    kind = torch.backends.cpu.get_cpu_capability()
    if device.type == "cuda":
        kind = torch.cuda.get_device_name(device)
    named = device.type if device.type == "mps" else f"{device.type} ({kind})"
    return {"torch": torch.__version__, "device": named}
