"""Evaluations as commands: their JSON, tables and pictures. What they measure is tested by room."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.commands.cli import run
from textdiff.data import DataConfig, open_data
from textdiff.evaluation.clip_score.measure import measure_clip_score
from textdiff.evaluation.features.cached import clip_features
from textdiff.evaluation.pictures import draw_pictures, real_pictures
from textdiff.evaluation.prompt_following.measure import measure_prompt_following
from textdiff.pipeline.config import SamplingConfig

VERSIONS = {"textdiff", "torch", "open_clip_torch", "diffusers", "Pillow"}
FAST = SamplingConfig(num_steps=2, seed=5)
FAST_FLAGS = ["--num-steps", "2", "--seed", "5"]


@pytest.fixture(scope="module")
def data(shapes):
    """What all of them look at."""
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")


@pytest.fixture(scope="module")
def judge(tmp_path_factory, tiny_clip, data) -> Path:
    """A CLIP that took no part: the model's own with other text features, of which some have a
    positive cosine to pictures: else every CLIP score would be 0."""
    clip = ClipModel.load(tiny_clip)
    images = image_features(clip, data.images(range(8)))
    with torch.no_grad():
        clip.model.text_projection.copy_(clip.model.text_projection.flip(0))
        texts = text_features(clip, [row[0] for row in data.captions])
        if (images * texts).sum() < 0:
            clip.model.text_projection.neg_()
    folder = tmp_path_factory.mktemp("judge")
    clip.save(folder)
    return folder


@pytest.fixture
def document(data, tmp_path):
    """Runs an evaluation of the training split; gives its JSON, whose data and versions are as
    they should be."""

    def result(name: str, *flags: str | Path) -> dict:
        out = tmp_path / "new" / f"{name}.json"
        usual = ["--data", data.name, "--data.image-size", "16", "--data.min-side", "4"]
        run([name, *map(str, [*usual, "--split", "train", *flags, "--json", out])])
        document = json.loads(out.read_text())
        assert document["data"] == {
            "source": data.name,
            "split": "train",
            "images": 8,
            "image_size": 16,
            "resize": "crop",
            "resample": "bicubic",
            "fingerprint": data.fingerprint,
        }
        assert document["versions"].keys() == VERSIONS
        return document

    return result


def test_retrieval(document, tiny_clip, capsys):
    found = document("retrieval", "--clip", tiny_clip, "--limit", "5")
    weights = ClipModel.load(tiny_clip).weights_hash()
    assert found["clip"] == {"name": str(tiny_clip), "weights": weights, "image_size": 16}
    assert found["searched"] == 5
    assert "Retrieval among 5 images of" in capsys.readouterr().out


def test_prompt_following(document, tiny_run, judge, data, pipe, tmp_path, capsys):
    grid = tmp_path / "pictures" / "grid.png"
    flags = ["--num-prompts", "6", "--prompt-seed", "2", "--grid", grid, "--grid-pictures", "3"]
    found = document("prompt-following", "--model", tiny_run, "--judge", judge, *FAST_FLAGS, *flags)
    real = real_pictures(data, 6, 2, pipe)
    drawn = draw_pictures(pipe, real.prompts, FAST)
    features = clip_features(ClipModel.load(judge))
    pictures = {"drawn": features.of_prompted(drawn), "real": features.of_prompted(real)}
    expected = measure_prompt_following(features, pictures)
    for kind, rates in expected.rates.items():
        assert found["results"][kind]["R@1"]["mean"] == pytest.approx(rates.at_1.value)
        assert found["results"][kind]["R@5"]["mean"] == pytest.approx(rates.at_5.value)
    assert (found["prompts"], found["prompt_seed"]) == (6, 2)
    assert found["judge"]["weights"] == ClipModel.load(judge).weights_hash()
    assert found["model"]["name"] == str(tiny_run)
    assert (found["sampling"]["seed"], found["sampling"]["num_steps"]) == (5, 2)
    assert "Prompt following among 6 prompts" in capsys.readouterr().out
    with Image.open(grid) as sheet:
        assert 3 * 96 < sheet.width < 4 * 96


def test_clip_score_of_a_model_beside_real_pictures(document, tiny_run, judge, data, pipe):
    flags = ["--model", tiny_run, "--clip", judge, "--num-prompts", "6", *FAST_FLAGS]
    found = document("clip-score", *flags)
    real = real_pictures(data, 6, 0, pipe)
    drawn = draw_pictures(pipe, real.prompts, FAST)
    clip = ClipModel.load(judge).freeze()
    features = clip_features(clip)
    pictures = {"drawn": features.of_prompted(drawn), "real": features.of_prompted(real)}
    expected = measure_clip_score(features, pictures).scores
    for kind, each in expected.items():
        score = pytest.approx(each.score.value, rel=1e-3, abs=1e-3)
        assert (found["results"][kind]["mean"], found["results"][kind]["pictures"]) == (score, 6)
    assert abs(expected["drawn"].score.value - expected["real"].score.value) > 0.01
    assert found["model"]["step"] == 6
    assert found["clip"]["weights"] == clip.weights_hash() != found["model"]["clip"]
    assert (found["sampling"]["seed"], found["sampling"]["num_steps"]) == (5, 2)


def test_clip_score_of_a_folder(tiny_clip, shapes, tmp_path):
    out, sizes = tmp_path / "score.json", ["--data.image-size", "16", "--data.min-side", "4"]
    flags = ["--images", shapes, "--clip", tiny_clip, "--weight", "2.5", "--json", out]
    run(["clip-score", *map(str, [*flags, *sizes])])
    found = json.loads(out.read_text())
    assert found["results"]["given"]["pictures"] == 16
    assert (found["model"], found["sampling"], found["weight"]) == (None, None, 2.5)
    assert (found["data"]["source"], found["data"]["split"]) == (str(shapes), "all")


def test_clip_score_of_what_sample_drew(tiny_run, judge, tmp_path):
    """The PNGs hold their prompts; the grid of them is no picture of its own."""
    drawn, out = tmp_path / "drawn", tmp_path / "score.json"
    prompts = ["red circle", "blue square"]
    run(
        ["sample", "--model", str(tiny_run), "--prompt", *prompts, "--out", str(drawn), *FAST_FLAGS]
    )
    run(["clip-score", "--images", str(drawn), "--clip", str(judge), "--json", str(out)])
    found = json.loads(out.read_text())
    assert found["results"]["given"]["pictures"] == 2
    clip = ClipModel.load(judge).freeze()
    data = open_data(DataConfig(source=str(drawn), image_size=16), "all")
    assert [captions[0] for captions in data.captions] == prompts
    features = image_features(clip, data.images([0, 1])), text_features(clip, prompts)
    expected = (100 * torch.cosine_similarity(*features).clamp(min=0)).mean().item()
    assert found["results"]["given"]["mean"] == pytest.approx(expected, abs=1e-3)


def test_inversion(document, tiny_run, tmp_path, capsys):
    grid = tmp_path / "grid.png"
    flags = ["--num-pictures", "3", "--num-steps", "5", "80", "--grid", grid]
    found = document("inversion", "--model", tiny_run, *flags, "--grid-pictures", "2")
    assert (found["pictures"], found["guidance_scale"], found["threshold"]) == (3, 1.0, "none")
    assert found["model"]["name"] == str(tiny_run)
    few, many = found["results"]["5"], found["results"]["80"]
    assert few["rmse"]["mean"] > 1.5 * many["rmse"]["mean"]
    shown = capsys.readouterr().out
    for steps, numbers in found["results"].items():
        (row,) = (line for line in shown.splitlines() if f" {steps} " in line and "│" in line)
        assert f"{numbers['rmse']['mean']:.2f}" in row
        assert f"{numbers['psnr']['mean']:.2f}" in row
    with Image.open(grid) as sheet:
        assert 5 * 96 < sheet.width < 6 * 96
