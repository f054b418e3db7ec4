"""What a checkpoint of a run holds, and how a run takes it up again.

<task>.safetensors   the weights              ema.safetensors    their average
optimizer            its moments, by name     task               what the task itself remembers
state.json           step, seconds, number of EMA updates, fp16's scale, settings held fixed
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from textdiff import checkpoint
from textdiff.errors import CheckpointError
from textdiff.training.optimizer import load_optimizer, optimizer_tensors

if TYPE_CHECKING:
    from textdiff.training.loop import Trainer

# settings that came later; a run that names one of them not at all was trained without it
LATER = ("augment", "clean_below", "clean_share", "distill_by_signal", "loss")


def write_checkpoint(trainer: Trainer) -> None:
    """Under the run's checkpoints, by its step."""
    task, ema, scaler = trainer.task, trainer.ema, trainer.scaler
    groups = {
        task.name: task.model.state_dict(),
        "optimizer": optimizer_tensors(trainer.optimizer, task.model),
    }
    if ema:
        groups["ema"] = ema.averages
    if task.state():
        groups["task"] = task.state()
    state = {
        "seconds": trainer.progress.elapsed(),
        "ema_updates": ema.updates if ema else 0,
        "scaler": scaler.state_dict() if scaler is not None else None,
        "fixed": trainer.fixed,
    }
    checkpoint.save_checkpoint(
        trainer.run.checkpoints,
        trainer.progress.step,
        groups,
        state,
        trainer.config.keep_checkpoints,
    )


def read_checkpoint(trainer: Trainer, folder: Path) -> tuple[int, float]:
    """Fills tensors in place; returns the step and the seconds of training until it.

    Raises:
        CheckpointError: made with other settings, or of another model.
    """

    def tensors(stem: str) -> dict[str, Tensor]:
        return checkpoint.load_tensors(folder / f"{stem}.safetensors")

    task, ema = trainer.task, trainer.ema
    state = checkpoint.load_state(folder)
    _check_fixed(state["fixed"], trainer.fixed, folder)
    weights = folder / f"{task.name}.safetensors"
    checkpoint.load_module(task.model, tensors(task.name), weights)
    where = str(folder / "optimizer")
    load_optimizer(trainer.optimizer, task.model, tensors("optimizer"), where)
    if ema:
        averages = tensors("ema")
        for name, average in ema.averages.items():
            average.copy_(averages[name])
        ema.updates = state["ema_updates"]
    if task.state():
        saved = tensors("task")
        for name, tensor in task.state().items():
            tensor.copy_(saved[name])
    if trainer.scaler is not None:
        trainer.scaler.load_state_dict(state["scaler"])
    return state["step"], state["seconds"]


def _check_fixed(saved: dict, fixed: dict, folder: Path) -> None:
    # what else only one of them names, another version of textdiff had no setting for
    for key in sorted(saved.keys() & fixed.keys() | set(LATER)):
        before, now = saved.get(key), fixed.get(key)
        if before != now and (before or now):
            raise CheckpointError(
                f"{folder} was trained with {key} = {before}, now it is {now}; "
                "set it back or name another --run-dir"
            )
