"""What stands beside numbers."""

from __future__ import annotations

from importlib.metadata import version

import torch

from textdiff.clip import ClipModel
from textdiff.data import DataConfig, open_data
from textdiff.evaluation.protocol import (
    ClipProtocol,
    DataProtocol,
    clip_protocol,
    data_protocol,
    device_name,
    model_protocol,
    sampling_protocol,
    versions,
)
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.sections import ClipGuidanceConfig


def open_shapes(shapes, image_size: int):
    return open_data(DataConfig(source=str(shapes), image_size=image_size, min_side=4), "train")


def test_model(pipe, tiny_run, tiny_clip):
    found = model_protocol(str(tiny_run), pipe)
    assert (found.name, found.step, found.image_size) == (str(tiny_run), 6, 16)
    assert found.clip == ClipModel.load(tiny_clip).weights_hash() != found.weights


def test_clip(tiny_clip):
    clip = ClipModel.load(tiny_clip)
    assert clip_protocol("a name", clip) == ClipProtocol("a name", clip.weights_hash(), 16)


def test_data(shapes):
    data = open_shapes(shapes, 16)
    expected = DataProtocol(
        source=str(shapes),
        split="train",
        images=8,
        image_size=16,
        resize=data.config.resize,
        resample=data.config.resample,
        fingerprint=data.fingerprint,
    )
    assert data_protocol(data) == expected


def test_versions_are_those_installed():
    assert versions()["torch"] == version("torch")
    assert set(versions()) == {"textdiff", "torch", "open_clip_torch", "diffusers", "Pillow"}


def test_device():
    assert device_name(torch.device("cpu")) == "cpu"


def test_sampling_is_named_as_its_flags():
    guidance = ClipGuidanceConfig(scale=2, interval=(1, 5), through_unet=False)
    found = sampling_protocol(SamplingConfig(num_steps=7, clip_guidance=guidance))
    assert (found["num_steps"], found["guidance_scale"]) == (7, 3.0)
    assert (found["clip_guidance_scale"], found["clip_guidance_interval"]) == (2.0, [1, 5])
    assert (found["clip_through_unet"], found["clip_guide"]) == (False, None)
    assert "clip_guidance" not in found
