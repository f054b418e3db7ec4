"""The benchmarks of CLIP: open_clip's loop sees what it should for as long as it should, and the
community's guidance has its text bound."""

from __future__ import annotations

import argparse

import pytest
import torch

from tests.helpers.paths import ROOT
from textdiff.config import parse_flags
from textdiff.data import open_data
from textdiff.models.bound import BoundText
from textdiff.models.unet import UNet
from textdiff.training.launch import accelerator_for
from textdiff.training.settings.clip import TrainClipSettings


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import clip_pretraining

    return clip_pretraining


@pytest.fixture
def settings(configs, shapes, tmp_path) -> TrainClipSettings:
    flags = ["--config", configs / "clip.yaml", "--data.source", shapes, "--run-dir", tmp_path]
    flags += ["--train.batch-size", "3", "--train.precision", "no"]
    return parse_flags(TrainClipSettings, list(map(str, flags)), "test", "train-clip")


def test_an_epoch_shows_each_picture_once_but_for_the_last_batch(bench, settings, monkeypatch):
    data, shown = open_data(settings.data, "train"), []
    clip = bench.fresh_open_clip(settings)
    loader = bench.Loader(data, clip, 3, seed=0, share=lambda step: 0.0)
    images = loader.images
    monkeypatch.setattr(loader, "images", lambda ids: shown.append(ids) or images(ids))
    epochs = []
    for loader.epoch in (0, 1):
        shown.clear()
        for image, text in loader:
            assert image.shape == (3, 3, clip.image_size, clip.image_size)
            assert text.shape == (3, clip.context_length)
        epochs.append([index for ids in shown for index in ids])
    whole = len(data) - len(data) % 3
    assert [len(set(ids)) for ids in epochs] == [len(ids) for ids in epochs] == [whole, whole]
    assert epochs[0] != epochs[1]
    assert loader.steps == 2 * whole // 3


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 5])
def test_open_clip_trains_for_as_many_steps_as_asked(bench, settings, steps):
    options = argparse.Namespace(steps=steps, open_clip_lr=None)
    clip, spent = bench.train_open_clip(settings, options, accelerator_for("no"))
    assert spent["step"] == steps
    start = bench.fresh_open_clip(settings)
    assert not torch.equal(clip.model.visual.conv1.weight, start.model.visual.conv1.weight)


def test_a_precision_that_open_clip_would_not_share_is_refused(bench):
    with pytest.raises(SystemExit, match=r"--train.precision fp16: open_clip's loop has no loss"):
        bench.check_precision(["ours", "open_clip"], "fp16")
    bench.check_precision(["ours"], "fp16")
    bench.check_precision(["open_clip"], "bf16")


def test_every_scheme_of_guidance_calls_the_unet_with_its_text_bound(
    monkeypatch, tiny_run, tmp_path
):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import guidance

    flags = ["--model", tiny_run, "--images", "3", "--steps", "2", "--cutouts", "2"]
    monkeypatch.setattr("sys.argv", ["guidance.py", *map(str, flags)])
    seen, forward = [], UNet.forward

    def watched(self, x_t, timestep, text):
        assert isinstance(text, BoundText)
        keys, _ = next(iter(text.keys_values.values()))
        seen.append((len(x_t), len(keys)))
        return forward(self, x_t, timestep, text)

    monkeypatch.setattr(UNet, "forward", watched)
    both, one = (3, 6), (3, 3)  # pictures, texts
    calls = {
        "community": [one, one],
        "cfg + community": [both, one],
        "cfg": [both],
        "noised": [one],
    }
    draws = guidance.schemes(guidance.arguments())
    for name, of_a_step in calls.items():
        seen.clear()
        draws[name]()
        assert seen == 2 * of_a_step, name
