"""Disk: checkpoints by what they hold, caches by the bytes of a picture."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.readings import reading
from textdiff.training.plan.disk import disk_parts
from textdiff.training.settings.clip import TrainClipSettings
from textdiff.training.settings.text_to_image import TrainSettings
from textdiff.training.settings.vae import TrainVaeSettings

MB = 10**6


def bytes_by_name(settings, step, rows) -> dict[str, float]:
    return {part.name: part.bytes for part in disk_parts(settings, step, rows)}


def test_checkpoints_hold_weights_moments_and_average_and_one_more_is_written():
    settings = TrainSettings(clip="c", run_dir="r", train={"keep_checkpoints": 3})
    found = bytes_by_name(settings, reading(4, gradients=5 * MB), rows=1000)
    (checkpoints,) = (size for name, size in found.items() if name.startswith("checkpoints"))
    assert checkpoints == 4 * (5 + 10) * MB


@pytest.mark.parametrize(
    ("data", "latent_bytes", "name", "size"),
    [
        ({"image_size": 64, "source": "photos"}, 0, "resized pictures, cache auto", 12_288),
        ({"image_size": 64, "source": "photos"}, 4096, "latents of the pictures", 4096),
        ({"image_size": 64, "source": "photos", "cache": "off"}, 4096, None, 0),
        ({"image_size": 64, "source": "scenes"}, 0, None, 0),
    ],
)
def test_caches(data, latent_bytes, name, size):
    settings = TrainSettings(clip="c", run_dir="r", data=data)
    found = bytes_by_name(settings, reading(4, latent_bytes=latent_bytes), rows=1000)
    caches = {key: value for key, value in found.items() if "pictures" in key}
    assert caches == ({} if name is None else {name: 1000 * size})


def test_a_vae_is_written_without_its_discriminator():
    step = reading(4, gradients=7 * MB)
    step = replace(step, held=replace(step.held, adversary=2 * MB))
    found = bytes_by_name(TrainVaeSettings(run_dir="r"), step, rows=10)
    assert found["the VAE as a folder of diffusers"] == 5 * MB


def test_a_clip_writes_its_towers_for_open_clip_too():
    found = bytes_by_name(TrainClipSettings(run_dir="r"), reading(4, gradients=7 * MB), rows=10)
    assert found["the towers as an open_clip folder"] == 7 * MB
