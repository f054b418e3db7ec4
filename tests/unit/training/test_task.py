"""What the loop asks of a task, and what a task may leave out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from textdiff import checkpoint
from textdiff.data import DataConfig, open_data
from textdiff.training.config import TrainConfig
from textdiff.training.launch import accelerator_for
from textdiff.training.loop import Trainer
from textdiff.training.run_folder import RunFolder
from textdiff.training.task import (
    AfterUpdate,
    Answering,
    Examined,
    Exporting,
    Stateful,
    Task,
)
from textdiff.training.tasks.autoregressive_prior import AutoregressivePriorTask
from textdiff.training.tasks.binary import BinaryTask
from textdiff.training.tasks.contrastive import ContrastiveTask
from textdiff.training.tasks.diffusion import DiffusionTask
from textdiff.training.tasks.diffusion_prior import DiffusionPriorTask
from textdiff.training.tasks.noised_clip import NoisedClipTask
from textdiff.types import Batch


class Brightness:
    """Learns how bright pictures are: no more than a `Task` must be."""

    name = "brightness"

    def __init__(self) -> None:
        self.model = torch.nn.Linear(1, 1)

    def losses(self, model: torch.nn.Module, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        grey = batch.image.float().mean((1, 2, 3)) / 255
        return {"loss": (model(torch.ones(len(grey), 1))[:, 0] - grey).square()}

    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        return {}


class Remembering(Brightness):
    """With all that a task may have besides."""

    def __init__(self) -> None:
        super().__init__()
        self.updates = torch.zeros(1)

    def state(self) -> dict[str, torch.Tensor]:
        return {"updates": self.updates}

    def after_update(self) -> None:
        self.updates += 1

    def export(self, folder: Path) -> None:
        (folder / "exported.txt").write_text(f"{self.updates.item():g}")


def trained(task: Task, shapes: Path, folder: Path, steps: int = 2) -> Path:
    """The newest checkpoint."""
    trainer = Trainer(
        task=task,
        data=open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train"),
        config=TrainConfig(steps=steps, batch_size=4, precision="no", tensorboard=False),
        accelerator=accelerator_for("no"),
        run=RunFolder(folder),
        seed=0,
        ema_decay=None,
        fixed={},
    )
    trainer.resume("auto")
    folder.mkdir(exist_ok=True)
    trainer.train()
    return next(checkpoint.checkpoints(folder / "checkpoints"))


def test_a_task_may_be_no_more_than_losses_and_evaluation(shapes, tmp_path):
    newest = trained(Brightness(), shapes, tmp_path / "run")
    assert (newest / "brightness.safetensors").is_file()
    assert not (newest / "task.safetensors").exists()


def test_what_a_task_has_besides_is_called_and_kept(shapes, tmp_path):
    trained(Remembering(), shapes, tmp_path / "run")
    newest = trained(Remembering(), shapes, tmp_path / "run", steps=3)
    assert checkpoint.load_tensors(newest / "task.safetensors")["updates"].tolist() == [3]
    assert (tmp_path / "run" / "exported.txt").read_text() == "3"


@pytest.mark.parametrize(
    ("task", "besides"),
    [
        (DiffusionTask, {Stateful, AfterUpdate, Answering, Examined}),
        (BinaryTask, {Answering, Examined}),
        (ContrastiveTask, {AfterUpdate, Exporting, Answering}),
        (NoisedClipTask, {AfterUpdate, Exporting, Answering}),
        (DiffusionPriorTask, {Answering}),
        (AutoregressivePriorTask, {Answering}),
    ],
)
def test_each_task_has_what_it_needs_besides(task, besides):
    """A misspelt method would silently never be called."""
    optional = (Stateful, AfterUpdate, Exporting, Answering, Examined)
    assert {kind for kind in optional if issubclass(task, kind)} == besides
