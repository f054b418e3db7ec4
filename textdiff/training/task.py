"""What the loop trains.

A task has the methods of `Task`. Those of `Stateful`, `Caching`, `Preparing`, `InWords`,
`Answering`, `Examined`, `AfterUpdate`, `AfterSkip`, `Adversarial`, `Measuring` and `Exporting` are
optional: the loop calls them where they exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from torch import Tensor, nn

from textdiff.training.config import OptimizerConfig
from textdiff.training.run_folder import RunFolder
from textdiff.types import Batch

if TYPE_CHECKING:
    from accelerate import Accelerator


class Task(Protocol):
    """What is trained, and how well it does. `name` is the stem of its weights file."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> nn.Module: ...

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        """Per-example (B,) or scalar values; "loss" is what is minimised. `model` is the task's
        own, wrapped for several processes."""
        ...

    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Held-out numbers of the model as it stands; may write pictures. Must draw no global
        random numbers. Called on the main process alone."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """A task with tensors beside the weights that a resumed run needs."""

    def state(self) -> dict[str, Tensor]:
        """These tensors themselves, not copies: loading fills them in place."""
        ...


@runtime_checkable
class Caching(Protocol):
    """A task that may keep what its network makes of the data, and read that in their place."""

    def fill_cache(self, reads: int, rank: int = 0, ranks: int = 1) -> str | None:
        """Fills it, before the first step; returns what a user should know. None: there is none.

        Args:
            reads: rows that will be read in all.
            rank: of `ranks` processes on this machine, which share the search for damaged rows.
        """
        ...


@runtime_checkable
class InWords(Protocol):
    """A task that says its held-out numbers as one reads them: in words, shares in percent."""

    def in_words(self, values: dict[str, float]) -> str:
        """Of what `evaluate` returned, in one line."""
        ...


@runtime_checkable
class Answering(Protocol):
    """A task that says whether it learns."""

    def verdict(self, values: dict[str, float], step: int) -> list[str]:
        """Of all numbers of an evaluation, in one to three lines: whether it learns, and what to
        look at if not; none where nothing is known."""
        ...


@runtime_checkable
class Examined(Protocol):
    """A task that can be asked more than `evaluate` tells. On the main process alone; draws no
    global random numbers."""

    def examine(self) -> dict[str, float]:
        """Further numbers of the model as it stands; what they may cost: see `learning.cost`."""
        ...

    def quick_loss(self) -> float | None:
        """A held-out loss by which the average is compared with the raw weights; None: no such."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """A task with work of its own on the CPU for a batch, which may be done before its step."""

    def prepare(self, batch: Batch, step: int) -> None:
        """Does it and keeps what `losses` needs of it. A function of the arguments alone."""
        ...


@runtime_checkable
class AfterUpdate(Protocol):
    """A task with something to do after each optimizer step, e.g. to clamp a scale."""

    def after_update(self) -> None: ...


@dataclass
class Adversary:
    """A network that is trained against the task's own.

    name: in metrics, messages and file names. config: of its optimizer.
    start: steps before it counts and is trained.
    """

    name: str
    network: nn.Module
    config: OptimizerConfig
    start: int = 0


@runtime_checkable
class Adversarial(Protocol):
    """A task that may have an adversary."""

    @property
    def adversary(self) -> Adversary | None:
        """The same at each call; None: it is trained without."""
        ...

    def adversary_losses(self, network: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        """As `Task.losses`, of the adversary, called right after `losses` of the same batch; empty
        where it is not trained yet. `network` is the adversary's, wrapped for several processes."""
        ...


@runtime_checkable
class Measuring(Protocol):
    """A task whose export tells numbers of the training data."""

    def measure(self, accelerator: Accelerator) -> None:
        """Measures them with the weights as they stand. Called on all processes, before `export`
        on the main one."""
        ...


@runtime_checkable
class AfterSkip(Protocol):
    """A task that keeps something of a step until `after_update`, which a step that is left out
    never reaches."""

    def after_skip(self) -> None:
        """Forgets it."""
        ...


@runtime_checkable
class Exporting(Protocol):
    """A task that, after each checkpoint, writes its model in a form of its own."""

    def export(self, folder: Path) -> None:
        """Writes into `folder`, whose files are then moved into the run folder. Called on the main
        process alone; the model has its averaged weights, where there are any."""
        ...
