"""`textdiff noised-clip`: numbers by timestep, against the metrics computed by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from textdiff.clip import ClipModel, NoisedClip
from textdiff.commands.cli import run
from textdiff.data import DataConfig, open_data
from textdiff.diffusion import NoiseSchedule
from textdiff.errors import CheckpointError, UsageError
from textdiff.metrics.features import text_features
from textdiff.metrics.noised import even_timesteps, fixed_noise, noised_features
from textdiff.metrics.retrieval import image_text_retrieval

METRICS = [
    "zero-shot",
    *(f"{way} R@{k}" for k in (1, 5) for way in ("image to text", "text to image")),
]


@pytest.fixture(scope="module")
def noised_run(tmp_path_factory, noised_flags) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "noised"
    run(["finetune-clip", *noised_flags, "--train.steps", "3", "--run-dir", str(folder)])
    return folder


@pytest.fixture
def measure(noised_run, shapes, tmp_path):
    """Runs the eval on all 16 shapes; gives its JSON."""

    def result(*flags: str | Path) -> dict:
        out = tmp_path / "noised.json"
        usual = ["--noised", noised_run, "--data.source", shapes, "--data.min-side", "4"]
        usual += ["--split", "all", "--draws", "2", "--levels", "3", "--json", out]
        run(["noised-clip", *map(str, [*usual, *flags])])
        return json.loads(out.read_text())

    return result


def test_protocol_and_shape(measure, noised_run, tiny_clip):
    found = measure()
    assert found["timesteps"] == [0, 50, 99]
    assert (found["searched"], found["captions"], found["classes"]) == (16, 16, 16)
    assert found["noise"]["draws_per_image"] == 2
    assert found["noise"]["schedule"]["name"] == "cosine"
    assert found["noised"]["weights"] == NoisedClip.load(noised_run).weights_hash()
    assert found["clean"]["name"] == str(tiny_clip)
    assert found["data"]["image_size"] == 16
    assert list(found["results"]) == list(found["chance"]) == METRICS
    for curves in found["results"].values():
        for reader in ("clean", "noised", "difference"):
            assert [set(level) for level in curves[reader]] == [
                {"mean", "low", "high", "confidence", "resamples"}
            ] * 3


def test_chance(measure):
    chance = measure()["chance"]
    assert [chance[m] for m in METRICS] == pytest.approx([1 / 16] * 3 + [5 / 16] * 2)


@pytest.mark.parametrize("reader", ["clean", "noised"])
def test_rates_are_those_of_the_same_noise(measure, noised_run, tiny_clip, shapes, reader):
    found = measure("--timesteps", "30", "--seed", "4")
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "all")
    noised, clean = NoisedClip.load(noised_run), ClipModel.load(tiny_clip)
    encode = noised.encode_image if reader == "noised" else lambda x, _t: clean.encode_image(x)
    clip = noised if reader == "noised" else clean
    texts = text_features(clip, [row[0] for row in data.captions])
    image, hits = data.images(range(16)), []
    for draw in range(2):
        eps = fixed_noise(range(16), (3, 16, 16), seed=4, draw=draw)
        features = noised_features(encode, image, eps, 30, NoiseSchedule.cosine(100))
        rates = image_text_retrieval(features, texts, torch.arange(16)).image_to_text
        hits.append(rates.recall(5))
    curve = found["results"]["image to text R@5"][reader]
    assert curve[0]["mean"] == pytest.approx(sum(hits) / 2)


def test_difference_is_paired(measure):
    curves = measure()["results"]["image to text R@5"]
    for clean, noised, difference in zip(
        curves["clean"], curves["noised"], curves["difference"], strict=True
    ):
        assert difference["mean"] == pytest.approx(noised["mean"] - clean["mean"])
    means = [level["mean"] for level in curves["noised"]]
    assert curves["mean_over_timesteps"]["noised"]["mean"] == pytest.approx(sum(means) / 3)


def test_a_clip_that_is_no_better_is_ahead_nowhere(measure, noised_run):
    """Against its own clean form at t = 0, where both say the same."""
    found = measure("--clean", noised_run / "clean", "--timesteps", "0")
    for curves in found["results"].values():
        assert curves["difference"][0]["mean"] == 0
        assert curves["ahead_at"] == curves["behind_at"] == []


def test_plot(measure, tmp_path):
    measure("--plot", tmp_path / "curves.png")
    assert Image.open(tmp_path / "curves.png").size == (1320, 456)


def test_images_can_be_fewer(measure):
    assert measure("--limit", "5")["searched"] == 5


def test_noise_of_a_picture_is_its_own():
    both, one = fixed_noise([3, 8], (1, 4, 4)), fixed_noise([8], (1, 4, 4))
    assert torch.equal(both[1:], one)
    assert not torch.equal(both[0], both[1])
    assert not torch.equal(fixed_noise([8], (1, 4, 4), draw=1), one)


def test_the_last_chunk_may_be_smaller(monkeypatch):
    def encode(x_t, timestep):
        assert timestep.shape == (len(x_t),)
        return x_t.flatten(1)

    image = torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8)
    eps, schedule = fixed_noise(range(5), (3, 4, 4)), NoiseSchedule.cosine(10)
    whole = noised_features(encode, image, eps, 3, schedule)
    monkeypatch.setattr("textdiff.metrics.noised.CHUNK", 2)
    assert torch.equal(noised_features(encode, image, eps, 3, schedule), whole)


@pytest.mark.parametrize(
    ("count", "T", "expected"),
    [(3, 100, [0, 50, 99]), (2, 1000, [0, 999]), (5, 3, [0, 1, 2]), (4, 1, [0])],
)
def test_even_timesteps(count, T, expected):
    assert even_timesteps(count, T) == expected


# What it refuses


@pytest.mark.parametrize("timestep", ["-1", "100"])
def test_timesteps_outside(measure, timestep):
    with pytest.raises(UsageError, match=rf"--timesteps {timestep}: .* knows 0\.\.99"):
        measure(f"--timesteps={timestep}")


def test_pictures_of_another_size(measure):
    with pytest.raises(
        UsageError, match=r"--data.image-size 32, but --noised .* of 16x16; give 16"
    ):
        measure("--data.image-size", "32")


def test_a_clip_without_timesteps(measure, tiny_clip):
    with pytest.raises(CheckpointError, match=r"has no noised\.yaml"):
        measure("--noised", tiny_clip)


def test_a_source_that_has_changed(measure, noised_run, tiny_clip, tmp_path):
    other = ClipModel.load(tiny_clip)
    other.model.logit_scale.data.fill_(1.0)
    other.save(tmp_path / "other")
    noised = NoisedClip.load(noised_run)
    noised.config = noised.config.model_copy(update={"source": str(tmp_path / "other")})
    noised.save(tmp_path / "moved")
    with pytest.raises(CheckpointError, match="name that one with --clean"):
        measure("--noised", tmp_path / "moved")


def test_a_source_that_is_not_said(measure, noised_run, tmp_path):
    noised = NoisedClip.load(noised_run)
    noised.config = noised.config.model_copy(update={"source": None})
    noised.save(tmp_path / "silent")
    with pytest.raises(UsageError, match="does not say what it was fine-tuned from; give --clean"):
        measure("--noised", tmp_path / "silent")
