"""A second network with an optimizer of its own: both learn, both are saved, both are checked.

diffusers' train_autoencoderkl never updated its discriminator (huggingface/diffusers#10605).
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from tests.helpers.vae_tasks import tiny_settings, tiny_trainer
from textdiff import checkpoint
from textdiff.commands.cli import run
from textdiff.data.loader import batches
from textdiff.errors import CheckpointError, NonFiniteLossError, UsageError
from textdiff.training import discriminator
from textdiff.training.adversary import AdversaryStep, frozen_call
from textdiff.training.draws import keys_of
from textdiff.training.optimizer import lr_factor
from textdiff.vae.adversarial import PatchDiscriminator


@pytest.fixture
def trainer(shapes, tmp_path):
    """With a discriminator from step 1 on."""
    changes = {"discriminator__weight": 0.5, "discriminator__start": 1}
    return tiny_trainer(tiny_settings(shapes, tmp_path / "run", **changes))


def steps_of(trainer, count: int) -> list[dict[str, float]]:
    steps = batches(trainer.data, seed=0, batch_size=4)
    values = []
    for micro_batches in itertools.islice(steps, count):
        values.append(trainer.train_step(micro_batches))
        trainer.progress.step += 1
    return values


def weights(network) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def moved(before: dict[str, torch.Tensor], network) -> list[str]:
    return [n for n, p in network.named_parameters() if not torch.equal(before[n], p)]


def test_every_optimizer_moves_all_its_weights_unlike_in_diffusers_10605(trainer):
    network, adversary = trainer.task.model, trainer.task.discriminator.adversary.network
    before, rival_before = weights(network), weights(adversary)
    steps_of(trainer, 1)
    assert moved(rival_before, adversary) == [], "it starts at step 1"
    assert moved(before, network)
    before = weights(network)
    values = steps_of(trainer, 1)[0]
    assert set(moved(before, network)) == set(before)
    # while all verdicts are within the margin, the gradients of the last bias cancel
    assert set(moved(rival_before, adversary)) >= set(rival_before) - {"body.8.bias"}
    assert math.isfinite(values["adaptive_weight"]) and values["adaptive_weight"] > 0
    for name in ("loss", "real", "fake", "grad_norm"):
        assert math.isfinite(values[f"discriminator/{name}"])


def test_its_numbers_are_told_from_its_first_step_on(trainer):
    first, second = steps_of(trainer, 2)
    assert not any(name.startswith("discriminator") for name in first)
    assert "generator" not in first
    assert "discriminator/loss" in second and "generator" in second


def test_the_generators_loss_gives_the_discriminator_no_gradient(trainer):
    """Its only gradients are those of its own loss: of the batch that the step saw."""
    steps_of(trainer, 1)
    adversary = trainer.task.discriminator.adversary.network
    (batch,) = next(batches(trainer.data, seed=0, batch_size=4, start_step=1))
    trainer.adversary.start_step(1, 0.0)
    trainer.task.losses(trainer.model, batch, 1)["loss"].mean().backward()
    assert all(p.grad is None for p in adversary.parameters())


def test_the_adaptive_weight_is_that_of_the_gradients_at_the_last_layer(trainer):
    """By hand: two backward passes through the whole network (VQGAN, eq. 7)."""
    task = trainer.task
    (batch,) = next(batches(trainer.data, seed=0, batch_size=4))
    weight = task.losses(task.model, batch, 1)["adaptive_weight"]
    norms = []
    for part in ("l1", "generator"):
        task.model.zero_grad()
        x, eps = task.drawn(batch.image, keys_of(batch, 0, 1))
        x_hat = task.model(x, eps)[2]
        if part == "l1":
            (x - x_hat).abs().mean().backward()
        else:
            (-task.discriminator.adversary.network(x_hat)).mean().backward()
        norms.append(task.model.last_layer.grad.norm())
    torch.testing.assert_close(weight, norms[0] / (norms[1] + 1e-6), rtol=1e-4, atol=0)


def test_accumulation_equals_the_larger_batch(shapes, tmp_path):
    changes = {"discriminator__weight": 0.5, "discriminator__start": 0, "train__batch_size": 4}
    changes |= {"loss__kl_weight": 0.1}
    whole = tiny_trainer(tiny_settings(shapes, tmp_path / "a", **changes))
    parts = tiny_trainer(tiny_settings(shapes, tmp_path / "b", **changes))
    (batch,) = next(batches(whole.data, seed=0, batch_size=4))
    halves = next(batches(whole.data, seed=0, batch_size=2, accumulation=2))
    whole.train_step([batch])
    parts.train_step(halves)
    # the adaptive weight is of each micro-batch; the discriminator's own loss is a plain mean
    for one, two in zip(
        whole.adversary.network.parameters(), parts.adversary.network.parameters(), strict=True
    ):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-7)


def test_a_call_without_its_weights_gives_the_same_and_keeps_gradients_to_the_input():
    network, images = PatchDiscriminator(8, 1), torch.randn(2, 3, 16, 16, requires_grad=True)
    frozen = frozen_call(network, images)
    assert torch.equal(frozen, network(images))
    frozen.sum().backward()
    assert images.grad.abs().sum() > 0 and all(p.grad is None for p in network.parameters())


def test_a_loss_of_it_that_is_not_finite_is_named(trainer, monkeypatch):
    steps_of(trainer, 1)
    trainer.guard.budget = 0
    loss = discriminator.discriminator_loss
    monkeypatch.setattr(
        discriminator, "discriminator_loss", lambda real, fake: loss(real, fake) * float("nan")
    )
    with pytest.raises(NonFiniteLossError, match="the discriminator's loss is nan at step 1") as e:
        steps_of(trainer, 1)
    assert e.value.exit_code == 5
    assert "--discriminator.lr" in str(e.value) and "\n" not in str(e.value)


def test_a_gradient_of_it_that_is_not_finite_is_named(trainer, monkeypatch):
    steps_of(trainer, 1)
    trainer.guard.budget = 0
    loss = discriminator.discriminator_loss

    def spoilt(real, fake):
        return loss(real, fake) + 0 * (real - real.detach()).sqrt().flatten(1).mean(1)

    monkeypatch.setattr(discriminator, "discriminator_loss", spoilt)
    with pytest.raises(NonFiniteLossError, match="the discriminator's gradient norm is nan"):
        steps_of(trainer, 1)


def test_fp16_is_refused(trainer):
    class Scaled:
        scaler = torch.amp.GradScaler("cpu")

    with pytest.raises(UsageError, match="fp16 does not go with a discriminator; use"):
        AdversaryStep(trainer.task, Scaled())


def test_its_warm_up_counts_from_its_own_start(shapes, tmp_path):
    """As a run of its own, which begins where it starts and ends where the other does."""
    changes = {"discriminator__weight": 0.5, "discriminator__start": 60, "train__steps": 100}
    changes |= {"discriminator__warmup_steps": 9, "discriminator__schedule": "cosine"}
    settings = tiny_settings(shapes, tmp_path / "run", **changes)
    adversary = tiny_trainer(settings).adversary
    for step in (0, 60, 64, 69, 70, 99):
        adversary.start_step(step, step / 100)
        since = max(0, step - 60)
        want = settings.discriminator.lr * lr_factor(settings.discriminator, since, since / 40)
        assert adversary.optimizer.param_groups[0]["lr"] == pytest.approx(want, abs=1e-12), step


@pytest.fixture
def flags(configs, shapes):
    flags = ["train-vae", "--config", str(configs / "vae.yaml"), "--data.source", str(shapes)]
    return [*flags, "--discriminator.weight", "0.5", "--discriminator.start", "1"]


def newest(folder) -> dict[str, torch.Tensor]:
    found = next(checkpoint.checkpoints(folder / "checkpoints"))
    return {
        f"{path.stem}/{name}": tensor
        for path in sorted(found.glob("*.safetensors"))
        for name, tensor in checkpoint.load_tensors(path).items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["2", "1"])  # after and before its first step
def test_a_resumed_run_ends_with_the_same_bits(flags, tmp_path, stop):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    # constant rates: they do not depend on where the run ends
    flags = [*flags, "--train.checkpoint-every", "1", "--train.warmup-steps", "0"]
    run([*flags, "--discriminator.warmup-steps", "0", "--run-dir", str(whole)])
    more = [*flags, "--discriminator.warmup-steps", "0", "--run-dir", str(parts)]
    run([*more, "--train.steps", stop])
    run([*more, "--resume", "must"])
    want, got = newest(whole), newest(parts)
    stems = {name.partition("/")[0] for name in want}
    assert stems == {"vae", "ema", "optimizer", "discriminator", "discriminator_optimizer"}
    assert want.keys() == got.keys()
    assert not [name for name in want if not torch.equal(want[name], got[name])]


@pytest.mark.slow
def test_resuming_with_another_discriminator_is_refused(flags, tmp_path):
    run([*flags, "--run-dir", str(tmp_path), "--train.steps", "2"])
    with pytest.raises(CheckpointError, match=r"discriminator\.weight = 0\.5, now it is 0\.25"):
        run([*flags, "--run-dir", str(tmp_path), "--discriminator.weight", "0.25"])
