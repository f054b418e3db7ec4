"""A measured step of each kind of training, in this process."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from textdiff import attention
from textdiff.config import parse_flags
from textdiff.training.plan.plan import caches_latents
from textdiff.training.plan.reading import StepJob, StepReading
from textdiff.training.plan.settings import schema_for, task_of, training_settings
from textdiff.training.plan.step import measure
from textdiff.vae.adversarial import PatchDiscriminator

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _kernels(monkeypatch):
    """A step for a GPU chooses others, for its whole process."""
    for name in ("OWN_PRODUCTS", "TORCH_MATH"):
        monkeypatch.setattr(attention, name, getattr(attention, name))


@pytest.fixture
def flags(request, shapes, configs):
    """Of each training: all but --run-dir."""

    def of(task: str) -> list[str]:
        if task in ("finetune-clip", "latents"):
            return request.getfixturevalue(
                "noised_flags" if task == "finetune-clip" else "latent_flags"
            )
        files = {"train-clip": "clip", "train-prior": "prior", "train-vae": "vae", "train": "unet"}
        found = ["--config", str(configs / f"{files[task]}.yaml")]
        if task == "train-prior":
            return [*found, "--embeddings", str(request.getfixturevalue("tiny_embeddings"))]
        if task == "train":
            found += ["--clip", str(request.getfixturevalue("tiny_clip"))]
        return [*found, "--data.source", str(shapes)]

    return of


def measured(argv: list[str], tmp_path: Path, *, batch: int = 4, **changes) -> StepReading:
    settings = parse_flags(schema_for(argv), argv, "plan", "")
    values = training_settings(settings).model_dump(mode="json", exclude_unset=True)
    job = {"live": False, "evaluate": False, "captions": None, "cached": True, **changes}
    return measure(
        StepJob(
            task=task_of(settings),
            settings={**values, "run_dir": str(tmp_path)},
            batch=batch,
            out="",
            **job,
        )
    )


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("train", "unet"),
        ("latents", "unet"),
        ("train-clip", "clip"),
        ("finetune-clip", "clip"),
        ("train-prior", "prior"),
        ("train-vae", "vae"),
    ],
)
def test_every_training_can_be_measured(flags, task, name, tmp_path):
    """As a process with an evaluation, and as tensors and FLOPs."""
    found = measured(flags(task), tmp_path, evaluate=True)
    assert name in found.name
    assert found.held.weights >= 4 * found.parameters > 0
    assert 0 < found.trained <= found.parameters
    assert found.held.gradients == pytest.approx(4 * found.trained, rel=0.01)
    assert found.held.optimizer == pytest.approx(8 * found.trained, rel=0.05)
    assert len(found.cost.peaks) == len(found.cost.seconds) == 3
    assert max(found.cost.live) < max(found.cost.peaks)
    assert found.capacity > found.evaluation >= max(found.cost.peaks) > found.held.total
    assert not list(tmp_path.iterdir())  # nothing is left behind

    live = measured(flags(task), tmp_path, live=True)
    assert live.cost.flops > 0
    assert live.held.weights < max(live.cost.live) < max(found.cost.peaks)
    assert StepReading.from_json(asdict(live)) == live


def test_tensors_and_flops_grow_with_the_batch(flags, tmp_path):
    small, large = (measured(flags("train"), tmp_path, batch=b, live=True) for b in (2, 6))
    assert large.cost.flops == 3 * small.cost.flops
    assert max(large.cost.live) > max(small.cost.live)
    assert len(large.cost.live) == len(small.cost.live)  # the same operations
    assert large.held.optimizer == small.held.optimizer


def test_cached_latents_are_not_encoded(flags, tmp_path):
    cached, encoded = (
        measured(flags("latents"), tmp_path, live=True, cached=each) for each in (True, False)
    )
    assert cached.cost.flops < encoded.cost.flops
    assert cached.latent_bytes == 2 * 2 * 4 * 4 * 4  # float16 mean and logvar, 4 of 4 x 4


def test_a_discriminator_that_starts_later_is_measured(flags, tmp_path):
    alone = measured(flags("train-vae"), tmp_path, live=True)
    rival = ["--discriminator.weight", "0.5", "--discriminator.channels", "16"]
    both = measured([*flags("train-vae"), *rival], tmp_path, live=True)
    added = sum(p.numel() for p in PatchDiscriminator(16).parameters())
    assert both.name == "vae with a discriminator"
    assert both.parameters - alone.parameters == both.trained - alone.trained == added
    assert both.held.adversary == both.held.weights - alone.held.weights == 4 * added
    assert both.held.gradients - alone.held.gradients == 4 * added
    assert both.held.optimizer - alone.held.optimizer == pytest.approx(8 * added, rel=0.01)
    assert both.cost.flops > alone.cost.flops
    assert max(both.cost.live) > max(alone.cost.live)


@pytest.mark.parametrize("flag", ["--distill", "--max-shift"])
def test_a_noised_clip_of_latents_that_looks_at_pictures_has_no_cache(request, tmp_path, flag):
    argv = [*request.getfixturevalue("latent_noised_flags"), "--data.cache", "auto", flag, "1"]
    training = training_settings(parse_flags(schema_for(argv), argv, "plan", ""))
    cached = caches_latents(training)
    assert not cached
    assert measured([*argv, "--data.cache", "off"], tmp_path, cached=cached).latent_bytes == 0


def test_captions_too_many_to_keep_are_read_at_each_step(flags, tmp_path):
    kept, read = (
        measured(flags("train"), tmp_path, live=True, captions=each) for each in (1000, 10**9)
    )
    assert kept.text_bytes > 0 == read.text_bytes
    assert read.cost.flops > kept.cost.flops
