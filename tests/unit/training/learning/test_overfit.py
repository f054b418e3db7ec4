"""Which part is broken, of tasks with one part broken each."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from tests.helpers.gradients import NanGradient
from tests.helpers.vae_tasks import tiny_settings
from textdiff.commands.cli import run
from textdiff.config import Settings
from textdiff.data import DataConfig, open_data
from textdiff.errors import NonFiniteLossError, NotLearningError, UsageError
from textdiff.training import discriminator
from textdiff.training.config import TrainConfig
from textdiff.training.learning import overfit
from textdiff.training.learning.overfit import check_overfit, named
from textdiff.training.run import TrainingSpec
from textdiff.training.specs.vae import vae_spec
from textdiff.types import Batch


class Greys(nn.Module):
    """A number per picture, and one that nothing depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.idle = nn.Embedding(8, 1), nn.Linear(1, 1)
        nn.init.zeros_(self.table.weight)

    def forward(self, ids: Tensor) -> Tensor:
        return 20 * self.table(ids)[:, 0]


class Task:
    """Learns how bright each picture is, by heart; `spoil` is done to what the network says."""

    name = "greys"

    def __init__(self, spoil=lambda output: output) -> None:
        self.model, self.spoil = Greys(), spoil

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        grey = batch.image.float().mean((1, 2, 3)) / 255
        return {"loss": (self.spoil(model(batch.sample_ids)) - grey).square()}

    def evaluate(self, step: int, run) -> dict[str, float]:
        return {}


@pytest.fixture
def data(shapes):
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")


def check(data, folder, task: Task | None = None, lr: float = 1e-2) -> None:
    spec = TrainingSpec(
        build_task=lambda _: task or Task(),
        data=data,
        config=TrainConfig(batch_size=4, precision="no", lr=lr, schedule="cosine"),
        settings=Settings(),
        seed=0,
        fixed={},
    )
    check_overfit(spec, folder)


def test_what_learns_passes_and_names_what_no_gradient_reaches(data, tmp_path, capsys):
    check(data, tmp_path / "run")
    said = capsys.readouterr().out
    assert "200 steps on one batch of 4 pictures" in said
    assert "passed: loss 0." in said
    assert "no gradient reaches idle; nothing was written" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("lr", "size"), [(1e-7, "low"), (1e4, "high")])
def test_a_learning_rate_that_is_far_off_is_named(data, tmp_path, lr, size):
    message = rf"loss .*: train.lr {lr:g} is too {size} for it: with 0.001 the loss falls to"
    with pytest.raises(NotLearningError, match=message) as error:
        check(data, tmp_path, lr=lr)
    assert error.value.exit_code == 6


def test_a_loss_that_does_not_depend_on_the_network_is_named(data, tmp_path):
    with pytest.raises(NotLearningError, match="no gradient reaches any weight"):
        check(data, tmp_path, Task(lambda output: 0 * output))


def test_pictures_that_are_all_the_same_are_named(data, tmp_path, monkeypatch):
    same = data.images([0])[0]
    monkeypatch.setattr(data, "image", lambda _index: same)
    with pytest.raises(NotLearningError, match="all pictures of the batch are the same"):
        check(data, tmp_path, Task(lambda output: 0 * output))


def test_captions_that_are_all_the_same_are_named(data, tmp_path):
    data.captions = [["a picture"]] * len(data)
    with pytest.raises(NotLearningError, match="all captions of the data are the same"):
        check(data, tmp_path, Task(lambda output: 0 * output))


def test_what_learns_nothing_at_any_rate_says_what_was_found_fine(data, tmp_path):
    def only_sign(output: Tensor) -> Tensor:
        """Gradients reach the weights, but lead nowhere."""
        return (output - output.detach()) * torch.tensor([1.0, -1.0, 1.0, -1.0])

    with pytest.raises(NotLearningError, match=r"no gradient reaches idle$"):
        check(data, tmp_path, Task(only_sign))


def test_gradients_that_are_not_finite_name_their_modules(data, tmp_path):
    message = r"gradient norm is nan at step 0 .*gradients are not finite in table$"
    with pytest.raises(NonFiniteLossError, match=message):
        check(data, tmp_path, Task(NanGradient.apply))


def test_several_processes_are_refused(data, tmp_path, monkeypatch):
    monkeypatch.setattr(overfit, "accelerator_for", lambda _: SimpleNamespace(num_processes=2))
    with pytest.raises(UsageError, match="takes one process, not 2"):
        check(data, tmp_path)


def test_modules_are_named_once_and_few():
    assert named(["a.weight", "a.bias", "b.c.weight", "scale"]) == "a, b.c, scale"
    assert named([f"m{k}.weight" for k in range(7)]) == "m0, m1, m2, m3 and 3 more modules"


@pytest.fixture
def short(monkeypatch):
    """Few steps, of which little is asked."""
    monkeypatch.setattr(overfit, "STEPS", 12)
    monkeypatch.setattr(overfit, "LAST", 2)
    monkeypatch.setattr(overfit, "FALL", 0.95)


def test_a_vae_needs_no_captions_and_its_discriminator_is_tried(shapes, tmp_path, capsys, short):
    data = shutil.copytree(shapes, tmp_path / "data")
    (data / "metadata.jsonl").unlink()
    settings = tiny_settings(data, tmp_path / "run", discriminator__weight=0.5)
    check_overfit(vae_spec(settings), settings.run_dir)
    said = capsys.readouterr().out
    assert "on one batch of 4 pictures" in said
    assert "20 steps with the discriminator are finite; nothing was written" in said


def test_a_discriminator_that_nothing_reaches_is_named(shapes, tmp_path, short, monkeypatch):
    loss = discriminator.discriminator_loss
    monkeypatch.setattr(discriminator, "discriminator_loss", lambda *pair: 0 * loss(*pair))
    settings = tiny_settings(shapes, tmp_path / "run", discriminator__weight=0.5)
    with pytest.raises(NotLearningError, match="no gradient reaches any weight of the discrimin"):
        check_overfit(vae_spec(settings), settings.run_dir)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", "clip"])
def test_the_commands_check_their_own_models(name, configs, shapes, tiny_clip, tmp_path, capsys):
    flags = ["--config", configs / f"{name}.yaml", "--data", shapes, "--run-dir", tmp_path / "run"]
    command = ["train", "--clip", tiny_clip] if name == "unet" else ["train-clip"]
    run([str(word) for word in (*command, *flags, "--check", "overfit")])
    assert "passed: loss" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
