"""Does it learn one batch by heart?

the same few pictures, captions, noise and timesteps, 200 times ──► the loss must fall below `FALL`
of its start; if not: is the batch constant, which weights does no gradient reach, is it the rate?

Network, loss, optimizer and precision that work together do this within a minute or so; a part that
is broken shows here, before days are spent. Nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from textdiff.errors import NonFiniteLossError, NotLearningError, UsageError
from textdiff.training.launch import accelerator_for
from textdiff.training.learning.probe import Probe, spread_over
from textdiff.training.loop import Trainer
from textdiff.training.run import TrainingSpec
from textdiff.training.run_folder import RunFolder
from textdiff.training.task import Task
from textdiff.types import Batch

if TYPE_CHECKING:
    from accelerate import Accelerator

STEPS = 200
PICTURES = 8
FALL = 0.5  # the quickstart: 0.001 at its rate of 2e-3, 0.37 at 1e-4, the default
TOGETHER = 20  # steps with an adversary, whose loss need not fall
LAST = 10  # steps whose mean loss counts, since dropout makes it noisy
USUAL_LR = 1e-3  # of AdamW, for so few steps and pictures
NAMED = 4  # weights named in a message


def check_overfit(spec: TrainingSpec, run_dir: str | Path) -> None:
    """Trains fresh weights on one batch and says what came of it. Writes nothing.

    Raises:
        UsageError: several processes.
        NonFiniteLossError: at the first step; names the weights whose gradients are not finite.
        NotLearningError: the loss does not fall as it must; names the part that is broken.
    """
    accelerator = accelerator_for(spec.config.precision)
    if accelerator.num_processes > 1:
        raise UsageError(
            f"--check overfit takes one process, not {accelerator.num_processes}; run the command "
            "without accelerate launch"
        )
    count = max(2, min(PICTURES, spec.config.batch_size))
    probe = spread_over(spec.data, count, spec.seed, distinct=spec.captions)
    task = spec.build_task(accelerator)
    check = OverfitCheck(spec, task, accelerator, RunFolder(run_dir, main=False))
    accelerator.print(
        f"overfit check of the {task.name}: {STEPS} steps on one batch of {len(probe)} pictures, "
        f"same noise and timesteps, lr {spec.config.lr:g}; the loss must fall below {FALL:.0%} of "
        "its start"
    )
    attempt = check.attempt(batch_of(probe), spec.config.lr)
    if not attempt.losses:
        raise NonFiniteLossError(attempt.diverged)
    if not attempt.passed:
        raise NotLearningError(f"{attempt.said}: {check.broken_part(attempt, probe)}")
    rival = check.beside_adversary(batch_of(probe), attempt.lr)
    unreached = f"; no gradient reaches {named(attempt.unreached)}" if attempt.unreached else ""
    accelerator.print(f"passed: {attempt.said}{unreached}{rival}; nothing was written")


def batch_of(probe: Probe) -> Batch:
    """The whole probe."""
    numbers = torch.arange(len(probe))
    return Batch(probe.images, probe.captions, numbers, torch.zeros_like(numbers))


@dataclass
class Attempt:
    """Losses by step; gradients: by weight, the largest norm so far; diverged: why it ended early,
    empty if it did not."""

    lr: float
    losses: list[float] = field(default_factory=list)
    gradients: dict[str, float] = field(default_factory=dict)
    diverged: str = ""

    @property
    def last(self) -> float:
        return fmean(self.losses[-LAST:])

    @property
    def passed(self) -> bool:
        return not self.diverged and self.last < FALL * self.losses[0]

    @property
    def unreached(self) -> list[str]:
        """Weights whose gradient was zero at every step."""
        return [name for name, norm in self.gradients.items() if norm == 0]

    @property
    def said(self) -> str:
        return (
            f"loss {self.losses[0]:.4g} -> {self.last:.4g} in {len(self.losses)} steps, "
            f"{FALL * self.losses[0]:.4g} is the limit"
        )


@dataclass(frozen=True)
class OverfitCheck:
    """Attempts, all from the same weights, with the loop's own step."""

    spec: TrainingSpec
    task: Task
    accelerator: Accelerator
    run: RunFolder
    start: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        state = self.task.model.state_dict()
        object.__setattr__(self, "start", {name: x.detach().clone() for name, x in state.items()})

    def attempt(self, batch: Batch, lr: float) -> Attempt:
        """By itself, without an adversary. Ends early where a loss or a gradient is not finite."""
        trainer = self._trainer(lr)
        if trainer.adversary:
            trainer.adversary.start_at(STEPS)
        attempt = Attempt(lr)
        for _ in range(STEPS):  # the trainer's progress stays at step 0, and so do all draws
            try:
                attempt.losses.append(trainer.train_step([batch])["loss"])
            except NonFiniteLossError as error:
                broken = [
                    n for n, norm in _norms(self.task.model).items() if not math.isfinite(norm)
                ]
                attempt.diverged = (
                    f"{error}; gradients are not finite in {named(broken) or 'no weight'}"
                )
                return attempt
            for name, norm in _norms(self.task.model).items():
                attempt.gradients[name] = max(norm, attempt.gradients.get(name, 0.0))
        return attempt

    def beside_adversary(self, batch: Batch, lr: float) -> str:
        """A few steps with the task's adversary, from the start; says so. Empty without one.

        Raises:
            NonFiniteLossError: of either. NotLearningError: no gradient reaches the adversary.
        """
        trainer = self._trainer(lr)
        if trainer.adversary is None:
            return ""
        trainer.adversary.start_at(0)
        reached = 0.0
        for _ in range(TOGETHER):
            trainer.train_step([batch])
            reached = max(reached, *_norms(trainer.adversary.network).values())
        rival = trainer.adversary.name
        if not reached:
            raise NotLearningError(f"no gradient reaches any weight of the {rival}")
        return f"; {TOGETHER} steps with the {rival} are finite"

    def _trainer(self, lr: float) -> Trainer:
        """Of the weights as they were at first."""
        self.task.model.load_state_dict(self.start)
        changes = {"lr": lr, "warmup_steps": 0, "max_minutes": None, "compile": False}
        changes["max_skipped_steps"] = 0
        return Trainer(
            task=self.task,
            data=self.spec.data,
            config=self.spec.config.model_copy(update=changes),
            accelerator=self.accelerator,
            run=self.run,
            seed=self.spec.seed,
            ema_decay=None,
            fixed={},
        )

    def broken_part(self, attempt: Attempt, probe: Probe) -> str:
        """Why `attempt` failed, as far as can be found out."""
        batch = batch_of(probe)
        if len(probe) < 2 and self.spec.captions:
            return "all captions of the data are the same; a caption must tell its picture apart"
        if (probe.images == probe.images[:1]).all():
            return "all pictures of the batch are the same; look at them with 'textdiff data info'"
        if len(attempt.unreached) == len(attempt.gradients):
            return "no gradient reaches any weight: the loss does not depend on the network"
        others = [lr for lr in (USUAL_LR, attempt.lr / 10) if lr != attempt.lr]
        for lr in others:
            other = self.attempt(batch, lr)
            if other.passed:
                size = "low" if lr > attempt.lr else "high"
                return (
                    f"train.lr {attempt.lr:g} is too {size} for it: with {lr:g} the loss falls to "
                    f"{other.last:.4g}"
                )
        if attempt.diverged:
            return attempt.diverged
        if attempt.unreached:
            return f"no gradient reaches {named(attempt.unreached)}"
        return (
            "pictures differ, gradients reach every weight, and learning rates "
            f"{' and '.join(f'{lr:g}' for lr in others)} do no better; try --train.precision no, "
            "and a wider network"
        )


def named(weights: Sequence[str]) -> str:
    """The modules of these weights, the first few by name."""
    modules = list(dict.fromkeys(name.rpartition(".")[0] or name for name in weights))
    more = f" and {len(modules) - NAMED} more modules" if len(modules) > NAMED else ""
    return ", ".join(modules[:NAMED]) + more


def _norms(model: nn.Module) -> dict[str, float]:
    """Of the gradient of each weight that is trained, 0 where it has none."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    norms = [
        torch.zeros((), device=p.device) if p.grad is None else p.grad.detach().float().norm()
        for p in trained.values()
    ]
    return dict(zip(trained, torch.stack(norms).tolist(), strict=True))
