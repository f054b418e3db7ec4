"""The one training loop: every task, one process or many.

    micro-batches ──► task.losses ──► mean ──► backward ──► clip ──► guard ──► AdamW ──► EMA
                  └─► the same of the task's adversary, where it has one
    every so often:   metrics.jsonl,  held-out evaluation from EMA (at step 0 too),  checkpoint

A step's samples, noise and dropout are functions of (seed, step, sample id), so a resumed run needs
weights, EMA, optimizer and the step number, and nothing else, to continue to the same bits (unless
`max_minutes` lets the clock decide).
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from textdiff import checkpoint
from textdiff.data.cost import cache_pixels, choose_workers, slow_loading
from textdiff.data.loader import batches
from textdiff.errors import (
    CheckpointError,
    StoppedBySignalError,
    UsageError,
)
from textdiff.models.unet import UNet
from textdiff.randomness import seed_of
from textdiff.training.adversary import AdversaryStep
from textdiff.training.ahead import Ahead
from textdiff.training.allocator import keep_freed_memory
from textdiff.training.compiling import compile_network, pays
from textdiff.training.config import TrainConfig
from textdiff.training.ema import EMA
from textdiff.training.evaluate import evaluate
from textdiff.training.exports import ensure_export, is_current
from textdiff.training.fixed import about_data
from textdiff.training.guard import Guard
from textdiff.training.health import Health
from textdiff.training.latent_images import decoded
from textdiff.training.learning.cost import affordable
from textdiff.training.meter import Meter
from textdiff.training.optimizer import build_optimizer, lr_factor, set_lr
from textdiff.training.pace_watch import PaceWatch
from textdiff.training.processes import main_value, of_all, on_any, on_main, on_this_machine
from textdiff.training.progress import Progress
from textdiff.training.run_folder import RunFolder
from textdiff.training.saved_state import (
    TrainingState,
    prune_checkpoints,
    read_checkpoint,
    rounds_otherwise,
    write_checkpoint,
)
from textdiff.training.signals import Stop, stop_on_signal
from textdiff.training.task import (
    AfterUpdate,
    Caching,
    Exporting,
    Measuring,
    Preparing,
    Stateful,
    Task,
)
from textdiff.training.window import Window, share_of
from textdiff.types import Batch

if TYPE_CHECKING:
    from accelerate import Accelerator

    from textdiff.data.training_data import TrainingData


class Trainer:
    """Binds a task to data, optimizer, EMA, run folder and processes.

    Args:
        ema_decay: None keeps no average.
        fixed: settings as JSON that a resumed run must not change; saved in every checkpoint.

    Raises:
        UsageError: activation checkpointing of a model that has none, or fp16 with an adversary.
    """

    def __init__(
        self,
        *,
        task: Task,
        data: TrainingData,
        config: TrainConfig,
        accelerator: Accelerator,
        run: RunFolder,
        seed: int,
        ema_decay: float | None,
        fixed: dict[str, Any],
    ):
        self.task, self.data, self.config, self.run = task, data, config, run
        self.accelerator, self.seed, self.fixed = accelerator, seed, fixed
        self.about_data = about_data(data)
        if accelerator.device.type == "cpu":
            keep_freed_memory()
        task.model.to(accelerator.device)
        if config.activation_checkpointing:
            _checkpoint_activations(task)
        self.model = accelerator.prepare_model(task.model)
        if config.compile is True:
            compile_network(task.model, or_eager=False)
        elif config.compile == "auto" and pays(
            accelerator.device.type, config.steps, config.max_minutes
        ):
            compile_network(task.model, or_eager=True)
        self.optimizer = build_optimizer(task.model, config)
        self.scaler = accelerator.scaler  # fp16 only
        self.adversary = AdversaryStep.of(task, accelerator)
        self.ema = EMA(task.model, ema_decay) if ema_decay else None
        self.progress, self.window = Progress(), Window()
        rates = "--train.lr" if not self.adversary else f"--train.lr and --{self.adversary.name}.lr"
        budget = config.max_skipped_steps
        self.guard = Guard(task, run, accelerator, budget=budget, health=Health(), rates=rates)
        self.workers = 0 if config.workers == "auto" else config.workers
        self._ahead: Ahead[list[Batch]] | None = None  # while `train` lasts
        self._late = 0.0  # seconds that a GPU had nothing to do, for want of a batch

    def resume(self, policy: str) -> None:
        """Loads the newest good checkpoint as `policy` (auto, must, never) says, and
        writes nothing, see `catch_up`.

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
        folder, damaged = on_main(
            self.accelerator, lambda: checkpoint.newest_good(self.run.checkpoints)
        )
        for message in damaged:
            self.accelerator.print(f"skipping a damaged checkpoint: {message}")
        if folder is None:
            if policy == "must":
                raise CheckpointError(f"--resume must: no checkpoint under {self.run.checkpoints}")
            return
        state, processes = self.state(), self.accelerator.num_processes
        self.progress = read_checkpoint(folder, state)
        self.window.fill(share_of(state.windows, self.accelerator.process_index, processes))
        self.accelerator.print(f"resuming from {folder}")
        timed = self.config.max_minutes is not None
        otherwise = rounds_otherwise(folder, state, processes, timed=timed)
        if otherwise:
            self.accelerator.print(otherwise)

    def catch_up(self) -> None:
        """What a process that was killed right after its save had left to do: removes checkpoints
        and exports. For a run that was resumed."""
        if self.progress.step == 0:
            return
        root, keep, state = self.run.checkpoints, self.config.keep_checkpoints, self.state()
        on_main(self.accelerator, lambda: prune_checkpoints(root, state, self.progress, keep))
        self._export(self._folder())

    def prepare_data(self) -> str | None:
        """Fills the data's cache and chooses the workers, for the reads to come. Returns what a
        user should know of it. Raises DataError."""
        processes = self.accelerator.num_processes
        rows = self.config.batch_size * self.config.accumulation * processes
        reads = rows * (self.config.steps - self.progress.step)
        cached = None
        if isinstance(self.task, Caching):
            cached = self.task.fill_cache(reads, *on_this_machine(self.accelerator))
            self.accelerator.wait_for_everyone()  # who may still find damaged rows
        pictures = decoded(self.data)
        if pictures is None:
            return cached
        told = cache_pixels(pictures, reads)
        if self.config.workers == "auto":
            self.workers = choose_workers(pictures, reads // processes, processes)
        return "; ".join(filter(None, [cached, told])) or None

    @property
    def finished(self) -> bool:
        """Whether nothing was left to do when the run was last saved."""
        return self.progress.step > 0 and self._share() >= 1 and not self.progress.unevaluated

    def train(self) -> None:
        """Runs to the end of the budget; the last step is evaluated and saved.

        Raises:
            NonFiniteLossError: too many steps were not finite, or the weights are not; names
                samples and the newest checkpoint from before the loss rose.
            StoppedBySignalError: SIGINT, SIGTERM, SIGHUP or SIGUSR1 arrived, or the launcher has
                gone; a checkpoint was saved first, unless there was no step yet.
        """
        self._ahead = ahead = Ahead(self.batches())
        self.progress.started = time.monotonic()  # and not when the checkpoint was read
        with stop_on_signal() as stop, self._meter() as meter, closing(ahead) as steps:
            if self.progress.step == 0 or self.progress.unevaluated:
                with meter.paused():
                    self._evaluate_first(stop)
            self.progress.started = time.monotonic()
            for micro_batches in meter.loading(steps) if not self.finished else ():
                values = self.train_step(micro_batches)
                self.progress.step += 1
                done = self._share() >= 1
                meter.window.waited += self._late
                meter.add(values, flush=done)
                with meter.paused():
                    if self._evaluate_and_save(stop, done):
                        break

    def _evaluate_first(self, stop: Stop) -> None:
        """Before the first step, and what a stop kept the run from."""
        step, last = self.progress.step, self._share() >= 1
        stopped = on_any(self.accelerator, stop.received)
        if stopped or not self.evaluate(examine=step > 0 and (last or self._examine()), stop=stop):
            kept = f"its evaluation; {self._folder()} is as it was" if step else "the first step"
            raise StoppedBySignalError(
                f"stopped by {stop.reason} before {kept}; run the same command again to continue"
            )
        self.progress.unevaluated = False
        if step and last:
            self.save()

    def _evaluate_and_save(self, stop: Stop, done: bool) -> bool:
        """After a step, as far as it is due. Returns `done`, whether it was the last one.

        Raises:
            NonFiniteLossError, StoppedBySignalError: see `train`.
        """
        stopped = on_any(self.accelerator, stop.received)
        evaluates = done or self._every(self.config.eval_every)
        if evaluates or stopped or self._every(self.config.checkpoint_every):
            self.guard.check(self.state(), self.progress.step)
        if evaluates:
            examine = done or self._examine()
            self.progress.unevaluated = stopped or not self.evaluate(examine=examine, stop=stop)
            stopped = self.progress.unevaluated
        if done or stopped or self._every(self.config.checkpoint_every):
            self.save()
        if stopped:
            raise StoppedBySignalError(
                f"stopped by {stop.reason} at step {self.progress.step}; saved {self._folder()}; "
                "run the same command again to continue"
            )
        return done

    def _batches(self) -> Generator[list[Batch], None, None]:
        """As they are read."""
        return batches(
            self.data,
            seed=self.seed,
            batch_size=self.config.batch_size,
            accumulation=self.config.accumulation,
            start_step=self.progress.step,
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
            workers=self.workers,
        )

    def batches(self) -> Generator[list[Batch], None, None]:
        """This process's micro-batches of each step to come, with what the task does for each on
        the CPU done."""
        with closing(self._batches()) as steps:
            for step, micro_batches in enumerate(steps, self.progress.step):
                if isinstance(self.task, Preparing):
                    for batch in micro_batches:
                        self.task.prepare(batch, step)
                yield micro_batches

    def _meter(self) -> Meter:
        return Meter(
            name=self.task.name,
            config=self.config,
            progress=self.progress,
            run=self.run,
            accelerator=self.accelerator,
            slow_loading=self._slow_loading,
            window=self.window,
            pace=PaceWatch(torch.get_num_threads())
            if self.accelerator.device.type == "cpu"
            else None,
        )

    def _slow_loading(self, share: float) -> str:
        if pictures := decoded(self.data):
            return slow_loading(share, pictures, self.workers)
        return f"{share:.0%} of the time goes into drawing batches and noise"

    def train_step(self, micro_batches: list[Batch]) -> dict[str, float]:
        """One optimizer step; returns this process's mean of each value that the task reported,
        none of a step that was left out.

        Raises:
            NonFiniteLossError: as `train`.
        """
        step = self.progress.step
        share = self._share()
        lr = self.config.lr * lr_factor(self.config, step, share)
        set_lr(self.optimizer, lr)
        torch.manual_seed(seed_of(self.seed, "modules", step, self.accelerator.process_index))
        self.model.train()
        self.guard.before_step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.adversary:
            self.adversary.start_step(step, share)
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
            if self.adversary:
                values |= self.adversary.backward(batch, step, of=len(micro_batches), last=last)
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value.detach() / len(micro_batches)
        values_of_step = {**sums, "grad_norm": self._clip_gradients()}
        if self.adversary:
            values_of_step |= self.adversary.clip_gradients()
        if self._ahead is not None and looks_ahead(self.accelerator.device):
            start = time.monotonic()
            self._ahead.fetch()
            self._late = time.monotonic() - start if has_finished(self.accelerator.device) else 0.0
        means = _read(values_of_step)
        losses, norms = {"loss": means["loss"]}, {"gradient norm": means["grad_norm"]}
        if self.adversary and self.adversary.loss_name in means:
            name = self.adversary.name
            losses[f"{name}'s loss"] = means[self.adversary.loss_name]
            norms[f"{name}'s gradient norm"] = means[f"{name}/grad_norm"]
        if not self.guard.lets(
            step,
            losses=losses,
            norms=norms,
            samples=torch.cat([batch.sample_ids for batch in micro_batches]),
            finite=torch.cat(finite),
        ):
            return {}
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
        if self.adversary:
            self.adversary.update()
        if isinstance(self.task, AfterUpdate):
            self.task.after_update()
        if self.ema:
            self.ema.update()

    def evaluate(self, examine: bool, stop: Stop | None = None) -> bool:
        """On the main process; the others wait. Returns whether it was made: `stop` may interrupt
        it."""

        def make() -> bool:
            try:
                return evaluate(
                    self.task,
                    self.run,
                    self.progress.step,
                    ema=self.ema,
                    examine=examine,
                    interruptible=stop.interruptible if stop else nullcontext,
                )
            except OSError as error:  # of pictures that it writes
                self.run.note_trouble("an evaluation cannot be written", error)
                return True

        return on_main(self.accelerator, make)

    def _examine(self) -> bool:
        """Whether enough was trained since the last time; see `learning.cost`."""
        rows = self.config.batch_size * self.config.accumulation
        return affordable(self.progress.step, self.config.eval_every, rows)

    def save(self) -> Path:
        """Writes a checkpoint on the main process; the others wait. Returns its folder.

        Raises:
            OSError: it cannot be written; on all processes.
        """
        state = self.state()
        state.windows.extend(of_all(self.accelerator, self.window.to_json()))
        keep = self.config.keep_checkpoints
        on_main(
            self.accelerator,
            lambda: write_checkpoint(self.run.checkpoints, state, self.progress, keep),
        )
        self._export(self._folder())
        return self._folder()

    def _folder(self) -> Path:
        """Of the checkpoint of this step."""
        return self.run.checkpoints / f"step-{self.progress.step:06d}"

    def _export(self, folder: Path) -> None:
        """Writes what is derived from the checkpoint in `folder`, where it is not there yet. All
        processes call it."""
        if not isinstance(self.task, Exporting):
            return
        if on_main(self.accelerator, lambda: is_current(self.run.path, folder)):
            return
        task = self.task
        with self.ema.applied() if self.ema else nullcontext():
            if isinstance(task, Measuring):
                task.measure(self.accelerator)
            on_main(self.accelerator, lambda: ensure_export(task, self.run.path, folder))

    def state(self) -> TrainingState:
        return TrainingState(
            name=self.task.name,
            model=self.task.model,
            optimizer=self.optimizer,
            ema=self.ema,
            scaler=self.scaler,
            adversary=self.adversary,
            health=self.guard.health,
            task=self.task.state() if isinstance(self.task, Stateful) else {},
            fixed=self.fixed,
            about_data=self.about_data,
        )

    def _every(self, steps: int) -> bool:
        return self.progress.step % steps == 0

    def _share(self) -> float:
        """Progress as the main process sees it: clocks differ, decisions must not."""
        share = self.progress.share(self.config)
        return main_value(self.accelerator, share) if self.config.max_minutes else share


def looks_ahead(device: torch.device) -> bool:
    """Whether a step is computed elsewhere once it is launched, so that the next one's batch can be
    made meanwhile."""
    return device.type != "cpu"


def has_finished(device: torch.device) -> bool:
    """Whether a GPU has done all that it was given, as far as it can be asked."""
    return device.type == "cuda" and torch.cuda.current_stream(device).query()


def _read(values: dict[str, Tensor]) -> dict[str, float]:
    """Scalars as numbers: the one time that a step waits for a GPU."""
    return dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))


def _checkpoint_activations(task: Task) -> None:
    if not isinstance(task.model, UNet):
        raise UsageError(
            f"train.activation_checkpointing is for the U-Net; the {task.name} has none; leave it "
            "out (CLIP pre-training has train.encoder_batch_size)"
        )
    task.model.checkpoint_activations()
