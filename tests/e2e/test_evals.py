"""The evals: what their JSON says, against the metrics computed by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.commands.cli import run
from textdiff.data import DataConfig, open_data
from textdiff.errors import DataError, UsageError
from textdiff.evaluation.drawn import real_pictures
from textdiff.metrics.clip_score import clip_scores
from textdiff.metrics.features import image_features, text_features
from textdiff.metrics.retrieval import image_text_retrieval, prompt_following

INTERVAL = {"mean", "low", "high", "confidence", "resamples"}
VERSIONS = {"textdiff", "torch", "open_clip_torch", "diffusers", "Pillow"}
FAST = ["--num-steps", "2"]


@pytest.fixture(scope="module")
def judge(tmp_path_factory, tiny_clip, shapes) -> Path:
    """A CLIP that took no part: the model's own with other text features, of which some have a
    positive cosine to pictures: else every CLIP score would be 0."""
    clip = ClipModel.load(tiny_clip)
    data = open_data(config(shapes), "train")
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
def measure(shapes, tmp_path):
    """Runs an eval on the shapes; gives its JSON."""

    def result(name: str, *flags: str | Path) -> dict:
        out = tmp_path / "new" / f"{name}.json"
        usual = ["--data.image-size", "16", "--data.min-side", "4", "--json", out]
        usual += [] if "--images" in flags else ["--data.source", shapes]
        run([name, *map(str, [*usual, *flags])])
        return json.loads(out.read_text())

    return result


def config(source: Path) -> DataConfig:
    return DataConfig(source=str(source), image_size=16, min_side=4)


def drawn(pipe: TextToImage, prompts: list[str]) -> torch.Tensor:
    """What FAST draws, (n, 3, 16, 16) uint8."""
    return torch.stack([pil_to_tensor(picture) for picture in pipe(prompts, num_steps=2)])


def has_protocol_of_data(found: dict, source: Path, split: str) -> None:
    data = open_data(config(source), split)
    assert found["data"] == {
        "source": str(source),
        "split": split,
        "images": len(data),
        "image_size": 16,
        "resize": "crop",
        "resample": "bicubic",
        "fingerprint": data.fingerprint,
    }
    assert found["versions"].keys() == VERSIONS


# Retrieval


def test_retrieval_tells_its_protocol(measure, tiny_clip, shapes):
    found = measure("retrieval", "--clip", tiny_clip, "--split", "train")
    has_protocol_of_data(found, shapes, "train")
    assert found["clip"] == {
        "name": str(tiny_clip),
        "weights": ClipModel.load(tiny_clip).weights_hash(),
        "image_size": 16,
    }


def test_retrieval_rates_are_those_of_the_metric(measure, tiny_clip, shapes):
    found = measure("retrieval", "--clip", tiny_clip, "--split", "all")["results"]
    data, clip = open_data(config(shapes), "all"), ClipModel.load(tiny_clip)
    expected = image_text_retrieval(
        image_features(clip, data.images(range(16))),
        text_features(clip, [row[0] for row in data.captions]),
        torch.arange(16),
    )
    for direction in ("image_to_text", "text_to_image"):
        for k in (1, 5, 10):
            rate = found[direction][f"R@{k}"]
            assert rate.keys() == INTERVAL | {"chance"}
            assert rate["mean"] == pytest.approx(expected.directions()[direction].recall(k))
            assert rate["chance"] == pytest.approx(k / 16)
            assert rate["low"] <= rate["mean"] <= rate["high"]


def test_retrieval_among_the_first_images(measure, tiny_clip):
    found = measure("retrieval", "--clip", tiny_clip, "--split", "train", "--limit", "3")
    assert found["searched"] == 3
    assert found["results"]["image_to_text"]["R@1"]["chance"] == pytest.approx(1 / 3)


@pytest.fixture
def one_bad(shapes, tmp_path) -> list[str | Path]:
    """Flags for the shapes with one corrupt image among the 16."""
    data = edited(shapes, tmp_path / "one_bad", str)
    (data / "red-circle.png").write_bytes(b"no image")
    return ["--data.source", data, "--data.max-bad-fraction", "0.1"]


def test_retrieval_leaves_a_corrupt_image_out(measure, tiny_clip, one_bad):
    found = measure("retrieval", "--clip", tiny_clip, "--split", "all", *one_bad)
    assert found["searched"] == 15


# CLIP score


def test_clip_score_of_a_folder_of_images(measure, tiny_clip, shapes):
    found = measure("clip-score", "--images", shapes, "--clip", tiny_clip)
    data, clip = open_data(config(shapes), "all"), ClipModel.load(tiny_clip)
    expected = clip_scores(
        image_features(clip, data.images(range(16))),
        text_features(clip, [row[0] for row in data.captions]),
    )
    assert expected.mean() > 0
    assert found["results"]["given"]["mean"] == pytest.approx(expected.mean().item())
    assert found["results"]["given"]["pictures"] == 16
    assert (found["model"], found["sampling"], found["weight"]) == (None, None, 100.0)
    has_protocol_of_data(found, shapes, "all")


def test_clip_score_of_a_model_beside_real_pictures(measure, tiny_run, judge, shapes):
    flags = ["--model", tiny_run, "--clip", judge, "--num-prompts", "3", "--seed", "5", *FAST]
    found = measure("clip-score", *flags)
    assert found["results"].keys() == {"drawn", "real"}
    for numbers in found["results"].values():
        assert numbers.keys() == INTERVAL | {"pictures"}
        assert numbers["pictures"] == 3
    assert found["model"]["step"] == 6
    assert found["clip"]["weights"] != found["model"]["clip"]
    assert (found["sampling"]["seed"], found["sampling"]["num_steps"]) == (5, 2)
    has_protocol_of_data(found, shapes, "train")


def test_clip_scores_are_those_of_the_judge_on_each_kind_of_picture(
    measure, tiny_run, judge, shapes, pipe
):
    flags = ["--model", tiny_run, "--clip", judge, "--num-prompts", "8", *FAST]
    found = measure("clip-score", *flags)["results"]
    real = real_pictures(open_data(config(shapes), "train"), 8, 0, pipe)
    clip = ClipModel.load(judge)
    texts = text_features(clip, real.prompts)
    for kind, images in {"drawn": drawn(pipe, real.prompts), "real": real.images}.items():
        expected = clip_scores(image_features(clip, images), texts).mean().item()
        assert found[kind]["mean"] == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert abs(found["drawn"]["mean"] - found["real"]["mean"]) > 0.01


def test_clip_score_judged_by_the_models_own_clip(measure, tiny_run):
    found = measure("clip-score", "--model", tiny_run, "--num-prompts", "2", *FAST)
    assert found["clip"]["weights"] == found["model"]["clip"]


def test_weight_scales_the_score(measure, tiny_clip, shapes):
    flags = ["--images", shapes, "--clip", tiny_clip]
    paper = measure("clip-score", *flags, "--weight", "2.5")["results"]["given"]["mean"]
    torchmetrics = measure("clip-score", *flags)["results"]["given"]["mean"]
    assert paper > 0
    assert torchmetrics == pytest.approx(40 * paper)


def test_clip_score_leaves_a_corrupt_image_out(measure, tiny_clip, one_bad):
    folder, limit = one_bad[1], one_bad[2:]
    found = measure("clip-score", "--images", folder, "--clip", tiny_clip, *limit)
    assert found["results"]["given"]["pictures"] == 15


@pytest.mark.parametrize("flags", [[], ["--model", "a", "--images", "b"], ["--images", "b"]])
def test_clip_score_of_nothing_of_both_or_without_a_judge(flags):
    with pytest.raises(UsageError, match=r"either --model or --images|--images needs --clip"):
        run(["clip-score", *flags])


# Prompt following


def test_prompt_following(measure, tiny_run, judge, shapes):
    flags = ["--model", tiny_run, "--judge", judge, "--num-prompts", "5", *FAST]
    found = measure("prompt-following", *flags)
    assert found["prompts"] == 5
    assert found["judge"]["weights"] == ClipModel.load(judge).weights_hash()
    for pictures in ("drawn", "real"):
        assert found["results"][pictures].keys() == {"R@1", "R@5"}
        assert found["results"][pictures]["R@5"]["mean"] == 1.0
        assert found["results"][pictures]["R@1"].keys() == INTERVAL
    has_protocol_of_data(found, shapes, "train")


@pytest.mark.parametrize("kind", ["drawn", "real"])
def test_rate_is_that_of_the_judge_on_the_same_prompts(
    measure, tiny_run, judge, shapes, pipe, kind
):
    flags = ["--model", tiny_run, "--judge", judge, "--num-prompts", "8", *FAST]
    found = measure("prompt-following", *flags, "--prompt-seed", "2")
    pictures = real_pictures(open_data(config(shapes), "train"), 8, 2, pipe)
    if kind == "drawn":
        pictures.images = drawn(pipe, pictures.prompts)
    clip = ClipModel.load(judge)
    expected = prompt_following(
        image_features(clip, pictures.images),
        text_features(clip, pictures.prompts),
        torch.arange(8),
    )
    for k in (1, 5):
        rate = found["results"][kind][f"R@{k}"]["mean"]
        assert rate == pytest.approx(expected.recall(k))


def test_prompt_following_draws_a_grid(measure, tiny_run, judge, tmp_path):
    grid = tmp_path / "pictures" / "grid.png"
    flags = ["--model", tiny_run, "--judge", judge, "--num-prompts", "4", *FAST]
    measure("prompt-following", *flags, "--grid", grid, "--grid-pictures", "3")
    with Image.open(grid) as sheet:
        assert 3 * 96 < sheet.width < 4 * 96


# Which real pictures


def edited(shapes: Path, folder: Path, change) -> Path:
    """A copy of the shapes, all in the training split, with rows of the metadata changed."""
    shutil.copytree(shapes, folder)
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    rows = [{**row, "split": "train", "text": change(row["text"])} for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_prompts_are_distinct_and_belong_to_their_pictures(pipe, shapes, tmp_path):
    by_colour = edited(shapes, tmp_path / "data", lambda text: text.split()[0])
    real = real_pictures(open_data(config(by_colour), "all"), 16, 0, pipe)
    assert sorted(real.prompts) == ["blue", "green", "red", "yellow"]
    strongest = {"red": (0,), "green": (1,), "blue": (2,), "yellow": (0, 1)}
    for prompt, image in zip(real.prompts, real.images, strict=True):
        means = image.float().mean(dim=(1, 2))
        others = [means[c] for c in range(3) if c not in strongest[prompt]]
        assert min(means[c] for c in strongest[prompt]) > max(others)


def test_captions_that_would_be_cut_are_passed_over(pipe, shapes, tmp_path):
    def change(text: str) -> str:
        return text if text.startswith("red") else "word " * 30 + text

    real = real_pictures(
        open_data(config(edited(shapes, tmp_path / "d", change)), "all"), 9, 0, pipe
    )
    assert sorted(real.prompts) == ["red circle", "red cross", "red square", "red triangle"]


def test_no_caption_that_fits(pipe, shapes, tmp_path):
    data = edited(shapes, tmp_path / "data", lambda text: "word " * 30)
    with pytest.raises(DataError, match="no caption fits 12 tokens"):
        real_pictures(open_data(config(data), "all"), 4, 0, pipe)


def test_images_that_cannot_be_used_are_passed_over(pipe, shapes, tmp_path):
    data = edited(shapes, tmp_path / "data", str)
    (data / "red-circle.png").write_bytes(b"no image")
    settings = config(data).model_copy(update={"max_bad_fraction": 0.1})
    real = real_pictures(open_data(settings, "all"), 16, 0, pipe)
    assert len(real.prompts) == len(real.images) == 15
    assert "red circle" not in real.prompts
