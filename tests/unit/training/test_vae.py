"""The VAE task: its losses, what it logs, what it exports, and what it refuses."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import pytest
import torch

from tests.helpers.vae_tasks import tiny_settings, tiny_trainer
from textdiff import checkpoint
from textdiff.commands.cli import run
from textdiff.data.loader import batches
from textdiff.errors import CheckpointError, UsageError
from textdiff.metrics.latents import measure_latents
from textdiff.pictures import to_float
from textdiff.training.draws import keys_of
from textdiff.training.learning.vae import KL, VaeNumbers
from textdiff.training.settings.vae import TrainVaeSettings
from textdiff.training.specs.vae import vae_spec
from textdiff.vae import Posterior, Vae
from textdiff.vae.loss import gaussian_nll, l1, rate


def trainer_of(shapes, tmp_path, **changes):
    return tiny_trainer(tiny_settings(shapes, tmp_path / "run", **changes))


def first_batch(trainer):
    (batch,) = next(batches(trainer.data, seed=0, batch_size=4))
    return batch


@pytest.mark.parametrize("kl_weight", [0.0, 0.5])
def test_the_loss_is_reconstruction_and_weighted_rate(shapes, tmp_path, kl_weight):
    task = trainer_of(shapes, tmp_path, loss__kl_weight=kl_weight).task
    batch = first_batch(trainer_of(shapes, tmp_path))
    values = task.losses(task.model, batch, 3)
    x, eps = task.drawn(batch.image, keys_of(batch, 0, 3))
    assert torch.equal(x, to_float(batch.image))
    mean, logvar, x_hat, _ = task.model(x, eps)
    posterior = Posterior(mean, logvar)
    torch.testing.assert_close(values["loss"], l1(x, x_hat) + kl_weight * rate(posterior, x))
    torch.testing.assert_close(values["kl_bits"], posterior.kl() / math.log(2))


def test_elbo_is_the_likelihood_of_dequantised_pictures(shapes, tmp_path):
    trainer = trainer_of(shapes, tmp_path, objective="elbo")
    task, batch = trainer.task, first_batch(trainer)
    values = task.losses(task.model, batch, 0)
    x, eps = task.drawn(batch.image, keys_of(batch, 0, 0))
    off = (x - to_float(batch.image)) * 127.5
    assert off.min() >= -0.5 and off.max() <= 0.5 and off.std() > 0.25
    mean, logvar, x_hat, log_variance = task.model(x, eps)
    nats = gaussian_nll(x, x_hat, log_variance) + rate(Posterior(mean, logvar), x)
    torch.testing.assert_close(values["loss"], nats)
    bits = values["distortion_bits_per_dim"] + values["rate_bits_per_dim"]
    torch.testing.assert_close(bits, nats / math.log(2) + math.log2(127.5))


def test_the_draws_of_a_sample_do_not_depend_on_its_batch(shapes, tmp_path):
    trainer = trainer_of(shapes, tmp_path, objective="elbo")
    batch = first_batch(trainer)
    keys = keys_of(batch, 0, 7)
    x, eps = trainer.task.drawn(batch.image, keys)
    alone_x, alone_eps = trainer.task.drawn(batch.image[2:3], keys[2:3])
    assert torch.equal(alone_x[0], x[2]) and torch.equal(alone_eps[0], eps[2])
    later_x, later_eps = trainer.task.drawn(batch.image, keys_of(batch, 0, 8))
    assert not torch.equal(later_x, x) and not torch.equal(later_eps, eps)


@pytest.mark.parametrize(
    ("changes", "learned"),
    [
        ({"objective": "elbo"}, True),
        ({"loss__reconstruction": "gaussian"}, True),
        ({"objective": "elbo", "loss__variance": 0.01}, False),
        ({}, False),
    ],
)
def test_the_decoders_variance_is_learned_where_it_is_asked_for(shapes, tmp_path, changes, learned):
    trainer = trainer_of(shapes, tmp_path, **changes)
    before = trainer.task.model.log_variance.item()
    for micro_batches in itertools.islice(batches(trainer.data, seed=0, batch_size=4), 3):
        trainer.train_step(micro_batches)
        trainer.progress.step += 1
    assert (trainer.task.model.log_variance.item() != before) == learned
    if "loss__variance" in changes:
        assert before == pytest.approx(math.log(0.01))


def test_a_perceptual_term_counts_by_its_weight(shapes, tmp_path, tiny_clip):
    changes = {"loss__perceptual": str(tiny_clip), "loss__perceptual_weight": 2.0}
    trainer = trainer_of(shapes, tmp_path, **changes)
    values = trainer.task.losses(trainer.task.model, first_batch(trainer), 0)
    want = values["l1"] + 2 * values["perceptual"] + 1e-6 * values["kl_bits"] * math.log(2) / 768
    torch.testing.assert_close(values["loss"], want)
    assert (values["perceptual"] > 0).all()


def test_held_out_numbers_are_the_same_at_each_call(shapes, tmp_path):
    trainer = trainer_of(shapes, tmp_path, objective="elbo")
    first = trainer.task.evaluate(0, trainer.run)
    assert trainer.task.evaluate(1, trainer.run) == first
    terms = first["held_out/distortion_bits_per_dim"] + first["held_out/rate_bits_per_dim"]
    assert first["held_out/bits_per_dim"] == pytest.approx(terms)
    assert first["held_out/rate_bits_per_dim"] == pytest.approx(first[KL] / 768)
    sheets = sorted(path.name for path in (trainer.run.path / "samples").iterdir())
    assert sheets == ["step-000000.png", "step-000001.png"]


NUMBERS = VaeNumbers(
    psnr=torch.tensor([20.0, 30.0]),
    flat=torch.tensor([10.0, 12.0]),
    kl=torch.tensor([3.0, 5.0]),
    channel_kl=torch.tensor([[3.0, 0.0], [5.0, 0.0]]),
    nll=torch.tensor([-1.0, -2.0]),
    dimensions=768,
)


def test_what_it_says_of_a_channel_that_says_nothing():
    values = NUMBERS.values("elbo")
    learning, collapsed = VaeNumbers.verdict(values, 5)
    assert learning == (
        "learning: reconstructions of held-out pictures are +14.0 dB above their mean colours"
    )
    assert collapsed.startswith("1 of 2 latent channels have collapsed")
    assert "bound" in VaeNumbers.in_words(values)
    assert "bound" not in VaeNumbers.in_words(NUMBERS.values("autoencoder"))
    not_learning = replace(NUMBERS, psnr=NUMBERS.flat).values("elbo")
    assert VaeNumbers.verdict(not_learning, 5)[0].startswith("not learning yet")
    assert VaeNumbers.verdict(not_learning, 0)[0].startswith("before training")


def test_the_run_folder_holds_the_average_with_its_statistics(tiny_vae_run, shapes):
    newest = next(checkpoint.checkpoints(tiny_vae_run / "checkpoints"))
    averages = checkpoint.load_tensors(newest / "ema.safetensors")
    vae = Vae.load(tiny_vae_run)
    for name, tensor in vae.network.state_dict().items():
        assert torch.equal(tensor, averages[f"autoencoder.{name}"])
    data = vae_spec(tiny_settings(shapes, tiny_vae_run)).data
    measured = measure_latents(vae, data)
    assert torch.equal(vae.measured().mean, measured.mean)
    assert torch.equal(vae.measured().std, measured.std)
    assert vae.measured().data == data.title
    assert vae.image_size == 16


def test_diffusers_loads_the_run_folder(tiny_vae_run):
    from diffusers import AutoencoderKL

    theirs, ours = (
        AutoencoderKL.from_pretrained(tiny_vae_run / "vae").eval(),
        Vae.load(tiny_vae_run),
    )
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        assert torch.equal(theirs.encode(images).latent_dist.mean, ours.moments(images).mean)


def test_metrics_hold_the_discriminator_from_its_first_step_on(tiny_vae_run):
    rows = [json.loads(line) for line in (tiny_vae_run / "metrics.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows if "discriminator/loss" in row]
    assert steps == [3, 4, 5, 6]
    assert [row["step"] for row in rows if "held_out/psnr" in row] == [0, 3, 6]


@pytest.mark.slow
def test_training_starts_from_a_vae_and_is_bound_to_it(tmp_path, shapes, configs, tiny_vae_run):
    flags = ["train-vae", "--config", str(configs / "vae.yaml"), "--data.source", str(shapes)]
    flags += ["--run-dir", str(tmp_path / "run"), "--init"]
    run([*flags, str(tiny_vae_run), "--train.steps", "1", "--train.lr", "1e-9"])
    vae, init = Vae.load(tmp_path / "run"), Vae.load(tiny_vae_run)
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(vae.moments(images).mean, init.moments(images).mean)
    with pytest.raises(CheckpointError, match="another VAE than --init names now"):
        run([*flags, str(tmp_path / "run")])


@pytest.mark.slow
def test_a_few_hundred_steps_reconstruct_pictures(tmp_path, shapes):
    settings = tiny_settings(
        shapes, tmp_path / "run", vae__block_channels=(16, 32), train__lr=3e-3, train__steps=300
    )
    trainer = tiny_trainer(settings)
    trainer.task.held_out = trainer.data  # of unseen colours there is nothing to learn here
    before = trainer.task.evaluate(0, trainer.run)
    for micro_batches in itertools.islice(batches(trainer.data, seed=0, batch_size=8), 300):
        trainer.train_step(micro_batches)
        trainer.progress.step += 1
    trainer.task.model.eval()
    after = trainer.task.evaluate(300, trainer.run)
    assert after["held_out/psnr"] > before["held_out/psnr"] + 8
    assert after["held_out/psnr"] > after["held_out/psnr_of_mean_colour"] + 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "elbo", "loss": {"reconstruction": "l1"}}, "elbo is a likelihood"),
        ({"objective": "elbo", "loss": {"perceptual": "clip"}}, "no place for loss.perceptual"),
        ({"objective": "elbo", "discriminator": {"weight": 1}}, "for discriminator.weight"),
        ({"loss": {"variance": 0.1}}, "of reconstruction gaussian, not l1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainVaeSettings.model_validate({"run_dir": "run", **changes})


def test_a_size_that_cannot_be_halved_often_enough_is_refused(shapes, tmp_path):
    with pytest.raises(UsageError, match=r"18 cannot be halved 2 times, .* fewer levels in vae"):
        vae_spec(tiny_settings(shapes, tmp_path / "run", data__image_size=18))
