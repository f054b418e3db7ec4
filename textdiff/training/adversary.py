"""A second network, trained against the task's own, by an optimizer of its own.

    micro-batch ──► task.losses ──► backward (its own network)
                └─► task.adversary_losses ──► backward (the adversary) ──► clip ──► AdamW

Both are updated at the end of a step, from what both were at its start. The loop owns networks and
optimizers, so that a checkpoint holds both, and several processes average the gradients of both.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from textdiff.errors import UsageError
from textdiff.training.optimizer import build_optimizer, lr_factor, set_lr
from textdiff.training.task import Adversarial, Task
from textdiff.types import Batch

if TYPE_CHECKING:
    from accelerate import Accelerator


class AdversaryStep:
    """What the loop does with the second network of `task`.

    Raises:
        UsageError: precision fp16, whose scaler skips the steps of one optimizer for both.
    """

    def __init__(self, task: Adversarial, accelerator: Accelerator) -> None:
        adversary = task.adversary
        assert adversary is not None
        if accelerator.scaler is not None:
            raise UsageError(
                f"precision fp16 does not go with a {adversary.name}; use --train.precision bf16 "
                "or no"
            )
        self.task, self.accelerator, self.name = task, accelerator, adversary.name
        self.adversary, self.config = adversary, adversary.config
        self.network = adversary.network
        self.network.to(accelerator.device)
        self.wrapped = accelerator.prepare_model(self.network)
        self.optimizer = build_optimizer(self.network, self.config)
        self._pending = False  # whether this step has gradients for it

    @classmethod
    def of(cls, task: Task, accelerator: Accelerator) -> AdversaryStep | None:
        """None where the task has none."""
        if not isinstance(task, Adversarial) or task.adversary is None:
            return None
        return cls(task, accelerator)

    @property
    def loss_name(self) -> str:
        """As it stands in metrics.jsonl."""
        return f"{self.name}/loss"

    def start_at(self, step: int) -> None:
        """For a try of the training, which is too short to reach its start: 0, from now on."""
        self.adversary.start = step

    def start_step(self, step: int, share: float) -> None:
        """share: of the run that is done. Its learning rate is that of a run of its own, which
        begins where it starts."""
        since = max(0, step - self.adversary.start)
        before = share * min(1.0, self.adversary.start / max(1, step))  # as much as has passed
        own = (share - before) / (1 - before) if before < 1 else 1.0
        set_lr(self.optimizer, self.config.lr * lr_factor(self.config, since, own))
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        self._pending = False

    def backward(self, batch: Batch, step: int, *, of: int, last: bool) -> dict[str, Tensor]:
        """Adds the gradients of one of `of` micro-batches; returns what it reports, by names with
        the adversary's in front. Nothing before the task starts it."""
        with nullcontext() if last else self.accelerator.no_sync(self.wrapped):
            with self.accelerator.autocast():
                values = self.task.adversary_losses(self.wrapped, batch, step)
            if not values:
                return {}
            values = {name: value.float().mean() for name, value in values.items()}
            self.accelerator.backward(values["loss"] / of)
        self._pending = True
        return {f"{self.name}/{name}": value for name, value in values.items()}

    def clip_gradients(self) -> dict[str, Tensor]:
        """Scales them down to the largest norm allowed; returns what it was, by its name."""
        if not self._pending:
            return {}
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.max_grad_norm)
        return {f"{self.name}/grad_norm": norm}

    def update(self) -> None:
        if self._pending:
            self.optimizer.step()


def frozen_call(network: nn.Module, images: Tensor) -> Tensor:
    """`network(images)` with gradients to the images and none to its weights."""
    constants = {name: value.detach() for name, value in network.named_parameters()}
    return torch.func.functional_call(network, constants, (images,))
