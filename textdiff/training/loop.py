"""The one training loop: every task, one process or many.

    micro-batches ──► task.losses ──► mean ──► backward ──► clip ──► AdamW ──► EMA
    every so often:   metrics.jsonl,  held-out evaluation from EMA,  checkpoint

A step's samples, noise and dropout are functions of (seed, step, sample id), so a resumed run needs
weights, EMA, optimizer and the step number, and nothing else, to continue to the same bits (unless
`max_minutes` lets the clock decide).
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from textdiff import checkpoint
from textdiff.data.loader import batches
from textdiff.errors import (
    CheckpointError,
    NonFiniteLossError,
    StoppedBySignalError,
    UsageError,
)
from textdiff.randomness import seed_of
from textdiff.training.allocator import keep_freed_memory
from textdiff.training.config import TrainConfig
from textdiff.training.ema import EMA
from textdiff.training.meter import Meter
from textdiff.training.optimizer import build_optimizer, lr_factor, set_lr
from textdiff.training.run_folder import RunFolder
from textdiff.training.saved_state import read_checkpoint, write_checkpoint
from textdiff.training.signals import stop_on_signal
from textdiff.types import Batch

if TYPE_CHECKING:
    from accelerate import Accelerator

    from textdiff.data import CaptionedImages


class Task(Protocol):
    """What is trained, and how well it does. `name` is the stem of its weights file."""

    name: str
    model: nn.Module

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        """Per-example (B,) or scalar values; "loss" is what is minimised. `model` is the task's
        own, wrapped for several processes."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Tensors beside the weights that a resumed run needs; loading fills them in place."""
        ...

    def after_update(self) -> None:
        """Called after each optimizer step, e.g. to clamp a scale."""
        ...

    def saved(self, run: RunFolder) -> None:
        """Called on the main process after each checkpoint, e.g. to export."""
        ...

    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Held-out numbers of the model as it stands; may write pictures. Must draw no global
        random numbers. Called on the main process alone."""
        ...


@dataclass
class Progress:
    """Where a run stands; what a checkpoint's state.json holds beside the settings."""

    step: int = 0
    seconds: float = 0.0  # of training so far, earlier sittings included
    started: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.started

    def share(self, config: TrainConfig) -> float:
        """How much of the run is done, in [0, 1]."""
        by_time = self.elapsed() / (60 * config.max_minutes) if config.max_minutes else 0.0
        return min(1.0, max(self.step / config.steps, by_time))


class Trainer:
    """Binds a task to data, optimizer, EMA, run folder and processes.

    Args:
        ema_decay: None keeps no average.
        fixed: settings as JSON that a resumed run must not change; saved in every checkpoint.

    Raises:
        UsageError: activation checkpointing of a model that has none.
    """

    def __init__(
        self,
        task: Task,
        data: CaptionedImages,
        config: TrainConfig,
        accelerator: Accelerator,
        run: RunFolder,
        seed: int,
        ema_decay: float | None,
        fixed: dict,
    ):
        self.task, self.data, self.config, self.run = task, data, config, run
        self.accelerator, self.seed, self.fixed = accelerator, seed, fixed
        if accelerator.device.type == "cpu":
            keep_freed_memory()
        task.model.to(accelerator.device)
        if config.activation_checkpointing:
            _checkpoint_activations(task)
        self.model = accelerator.prepare_model(task.model)
        if config.compile:
            task.model.compile()  # in place: parameters keep their names
        self.optimizer = build_optimizer(task.model, config)
        self.scaler = accelerator.scaler  # fp16 only
        self.ema = EMA(task.model, ema_decay) if ema_decay else None
        self.progress = Progress()

    def resume(self, policy: str) -> None:
        """Loads the newest good checkpoint as `policy` (auto, must, never) says.

        Raises:
            CheckpointError: "must" without a checkpoint; "never" in a run that has some;
                checkpoints of which none can be used, or of another model.
        """
        if policy == "never":
            if any(checkpoint.checkpoints(self.run.checkpoints)):
                raise CheckpointError(
                    f"{self.run.path} holds checkpoints and --resume never was given; "
                    "name another --run-dir or use --resume auto"
                )
            return
        folder, damaged = checkpoint.newest_good(self.run.checkpoints)
        for message in damaged:
            self.accelerator.print(f"skipping a damaged checkpoint: {message}")
        if folder is None:
            if policy == "must":
                raise CheckpointError(f"--resume must: no checkpoint under {self.run.checkpoints}")
            return
        self.progress = Progress(*read_checkpoint(self, folder))
        self.accelerator.print(f"resuming from {folder}")

    def save(self) -> Path:
        """Writes a checkpoint on the main process; the others wait. Returns its folder."""
        if self.accelerator.is_main_process:
            write_checkpoint(self)
            self.task.saved(self.run)
        self.accelerator.wait_for_everyone()
        return self.run.checkpoints / f"step-{self.progress.step:06d}"

    @property
    def finished(self) -> bool:
        """Whether the budget was used up when the run was last saved."""
        return self.progress.step > 0 and self._share() >= 1

    def train(self) -> None:
        """Runs to the end of the budget; the last step is evaluated and saved.

        Raises:
            NonFiniteLossError: names step, samples and the last good checkpoint.
            StoppedBySignalError: SIGINT or SIGTERM arrived; a checkpoint was saved first.
        """
        source = batches(
            self.data,
            seed=self.seed,
            batch_size=self.config.batch_size,
            accumulation=self.config.accumulation,
            start_step=self.progress.step,
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
            workers=self.config.workers,
        )
        with stop_on_signal() as stop, Meter(self) as meter:
            self.progress.started = time.monotonic()
            for micro_batches in source:
                share = self._share()
                losses = self._step(micro_batches, share)
                self.progress.step += 1
                done = self._share() >= 1
                meter.add(losses, done)
                stopped = self._any(stop.received) and not done
                with meter.paused():
                    if done or (self.progress.step % self.config.eval_every == 0 and not stopped):
                        self._evaluate()
                    if done or stopped or self.progress.step % self.config.checkpoint_every == 0:
                        folder = self.save()
                if stopped:
                    raise StoppedBySignalError(
                        f"stopped by a signal at step {self.progress.step}; saved {folder}; "
                        "run the same command again to continue"
                    )
                if done:
                    break

    def _step(self, micro_batches: list[Batch], share: float) -> dict[str, float]:
        """One optimizer step; returns this rank's mean of each value that the task reported."""
        step, config = self.progress.step, self.config
        lr = config.lr * lr_factor(config, step, share)
        set_lr(self.optimizer, lr)
        torch.manual_seed(seed_of(self.seed, "modules", step, self.accelerator.process_index))
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        finite: list[Tensor] = []  # whether each sample's own loss is
        for index, batch in enumerate(micro_batches):
            last = index == len(micro_batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                with self.accelerator.autocast():
                    values = self.task.losses(self.model, batch, step)
                finite.append(values["loss"].detach().isfinite().expand(len(batch.sample_ids)))
                values = {name: value.float().mean() for name, value in values.items()}
                self.accelerator.backward(values["loss"] / len(micro_batches))
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value.detach() / len(micro_batches)
        means = _read({**sums, "grad_norm": self._clip_gradients()})
        drawn = torch.cat([batch.sample_ids for batch in micro_batches])
        if not math.isfinite(means["loss"]):
            drawn = drawn[~torch.cat(finite).cpu()]
        self._check_finite("loss", means["loss"], drawn)
        if self.scaler is None:  # fp16's scaler skips such a step by itself
            self._check_finite("gradient norm", means["grad_norm"], drawn)
        self._update()
        return {**means, "lr": lr}

    def _clip_gradients(self) -> Tensor:
        """Scales the gradients down to the largest norm allowed; returns what it was."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        return nn.utils.clip_grad_norm_(self.task.model.parameters(), self.config.max_grad_norm)

    def _update(self) -> None:
        if self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.task.after_update()
        if self.ema:
            self.ema.update()

    def _check_finite(self, name: str, value: float, drawn: Tensor) -> None:
        """`drawn`: the ids of the samples to name."""
        if not self._any(not math.isfinite(value)):
            return
        if math.isfinite(value):
            raise NonFiniteLossError(f"another process met a {name} that is not finite")
        samples = drawn.tolist()
        good, _ = checkpoint.newest_good(self.run.checkpoints)
        raise NonFiniteLossError(
            f"the {name} is {value} at step {self.progress.step} (samples {samples[:8]}"
            f"{', ...' if len(samples) > 8 else ''}); last good checkpoint: {good or 'none'}; "
            "lower --train.lr or look at these samples"
        )

    @torch.no_grad()
    def _evaluate(self) -> None:
        if self.accelerator.is_main_process:
            self.task.model.eval()
            average = self.ema.applied() if self.ema else nullcontext()
            # other batch sizes, for which compiling takes longer than it saves
            with average, torch.compiler.set_stance("force_eager"):
                values = self.task.evaluate(self.progress.step, self.run)
            if values:
                self.run.log(self.progress.step, values)
                shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
                from tqdm import tqdm

                tqdm.write(f"step {self.progress.step}: {shown}")
        self.accelerator.wait_for_everyone()

    def _share(self) -> float:
        """Progress as rank 0 sees it: clocks differ, decisions must not."""
        share = self.progress.share(self.config)
        if self.accelerator.num_processes == 1 or not self.config.max_minutes:
            return share
        tensor = torch.tensor(share, dtype=torch.float64, device=self.accelerator.device)
        torch.distributed.broadcast(tensor, src=0)
        return tensor.item()

    def _any(self, flag: bool) -> bool:
        """Whether `flag` is set on any rank."""
        if self.accelerator.num_processes == 1:
            return flag
        tensor = torch.tensor(float(flag), device=self.accelerator.device)
        return self.accelerator.reduce(tensor, "sum").item() > 0


def _read(values: dict[str, Tensor]) -> dict[str, float]:
    """Scalars as numbers: the one time that a step waits for a GPU."""
    return dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))


def _checkpoint_activations(task: Task) -> None:
    if not hasattr(task.model, "checkpoint_activations"):
        raise UsageError(
            f"train.activation_checkpointing is for the U-Net; the {task.name} has none; leave it "
            "out (CLIP pre-training has train.encoder_batch_size)"
        )
    task.model.checkpoint_activations()
