"""Rates among the shapes against the metric by hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from tests.helpers.extractors import MeanColours
from tests.helpers.protocols import CLIP, DATA
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.data import DataConfig, open_data
from textdiff.evaluation.features.cached import CachedFeatures, clip_features
from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.evaluation.results import from_json, to_json
from textdiff.evaluation.retrieval.measure import (
    RetrievalProtocol,
    RetrievalResult,
    measure_retrieval,
    print_rates,
)
from textdiff.metrics.retrieval import image_text_retrieval


@pytest.fixture(scope="module")
def clip(tiny_clip) -> ClipModel:
    return ClipModel.load(tiny_clip).freeze()


def config(source) -> DataConfig:
    return DataConfig(source=str(source), image_size=16, min_side=4)


def measured(clip, data, limit=None) -> RetrievalResult:
    features = clip_features(clip)
    return measure_retrieval(features, features.of_split(data, limit))


@pytest.fixture(scope="module")
def result(clip, shapes) -> RetrievalResult:
    return measured(clip, open_data(config(shapes), "all"))


def test_rates_are_those_of_the_metric(clip, shapes, result):
    data = open_data(config(shapes), "all")
    expected = image_text_retrieval(
        image_features(clip, data.images(range(16))),
        text_features(clip, [row[0] for row in data.captions]),
        torch.arange(16),
    )
    assert (result.searched, result.captions, result.captions_cut) == (16, 16, 0)
    for rates, ranking in (
        (result.rates.image_to_text, expected.image_to_text),
        (result.rates.text_to_image, expected.text_to_image),
    ):
        for k, rate in rates.by_k().items():
            assert rate.recall.value == pytest.approx(ranking.recall(k))
            assert rate.chance == pytest.approx(k / 16)
            assert rate.recall.low <= rate.recall.value <= rate.recall.high
        median = rates.median.rank
        assert median.value == ranking.median
        assert 1 <= median.low <= median.value <= median.high <= 16
        assert rates.median.chance == 8.5


def test_among_the_first_images(clip, shapes):
    result = measured(clip, open_data(config(shapes), "train"), limit=3)
    assert result.searched == 3
    assert result.rates.image_to_text.at_1.chance == pytest.approx(1 / 3)


def test_a_corrupt_image_is_left_out(clip, shapes, tmp_path):
    folder = shutil.copytree(shapes, tmp_path / "one_bad")
    (folder / "red-circle.png").write_bytes(b"no image")
    lenient = config(folder).model_copy(update={"max_bad_fraction": 0.1})
    assert measured(clip, open_data(lenient, "all")).searched == 15


def test_captions_move_with_their_image(clip, shapes, tmp_path):
    """Two wordings of each picture that the tower reads alike: twice the queries, no narrower
    intervals."""
    folder = shutil.copytree(shapes, tmp_path / "twice")
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    twice = [{**row, "text": [row["text"], row["text"].upper()]} for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, twice)))
    once = measured(clip, open_data(config(shapes), "all"))
    both = measured(clip, open_data(config(folder), "all"))
    assert (both.searched, both.captions) == (16, 32)
    assert both.rates.text_to_image.at_5.recall == once.rates.text_to_image.at_5.recall
    assert both.rates.text_to_image.median.rank == once.rates.text_to_image.median.rank


def test_keys_on_disk(result):
    content = to_json(result)
    assert content.keys() == {
        "searched",
        "captions",
        "captions_cut",
        "results",
        "captions_shared",
        "per_item",
    }
    for direction in ("image_to_text", "text_to_image"):
        rates = content["results"][direction]
        assert rates.keys() == {"R@1", "R@5", "R@10", "median rank"}
        for rate in rates.values():
            assert rate.keys() == {*("mean", "low", "high", "confidence", "resamples", "chance")}
    assert to_json(from_json(RetrievalResult, content)) == content


def test_table_and_estimates(result, capsys):
    print_rates(result, "shapes, split all")
    shown = capsys.readouterr().out
    assert "Retrieval among 16 images of shapes, split all" in shown
    estimates = dict(result.estimates())
    assert {"image to text median rank", "text to image median rank"} < estimates.keys()
    for name, estimate in estimates.items():
        number = f"{estimate.value:{'.1f' if name.endswith('rank') else '.1%'}}"
        assert any(f"{name} " in row and number in row for row in shown.splitlines())
    assert "6.25%" in shown  # chance of R@1
    assert "8.5" in shown  # of the median rank


def test_keys_of_the_protocol_on_disk():
    protocol = RetrievalProtocol(data=DATA, clip=CLIP)
    assert list(to_json(protocol)) == ["metric", "data", "clip"]
    assert from_json(RetrievalProtocol, to_json(protocol)) == protocol


def test_a_caption_of_several_images_is_one(clip, shapes, tmp_path):
    """Four pictures of two captions: each finds its caption, and a caption any of its pictures."""
    for number, picture in enumerate(sorted(shapes.glob("*.png"))[:4]):
        shutil.copy(picture, tmp_path)
        (tmp_path / picture.name).with_suffix(".txt").write_text(["one", "two"][number % 2])
    result = measured(clip, open_data(config(tmp_path), "all"))
    assert (result.searched, result.captions) == (4, 2)
    assert result.rates.image_to_text.at_1.chance == pytest.approx(1 / 2)
    assert result.rates.text_to_image.at_1.chance == pytest.approx(1 / 2)
    assert result.rates.image_to_text.at_5.recall.value == 1


# Several captions of each picture, as CLIP_benchmark (zeroshot_retrieval.py) counts them


@dataclass
class Given(MeanColours):
    """An extractor whose features of captions are given."""

    of_text: dict[str, Tensor] = field(default_factory=dict)

    def encode_texts(self, captions):
        return torch.stack([self.of_text[text] for text in captions])

    def num_truncated(self, captions):
        return 0


def measured_features(images: Tensor, captions: list[list[str]], of_text: dict[str, Tensor]):
    by = Given(of_text=of_text)
    rows = list(range(len(images)))
    found = FeatureSet(images, rows, captions, by.protocol, {"source": "given"}, bad={})
    return measure_retrieval(CachedFeatures(by), found).rates


def share_with_a_right_one(scores: Tensor, right: Tensor, k: int) -> float:
    """CLIP_benchmark's recall@k: of the rows, those whose k best columns hold a right one."""
    best = scores.topk(k, dim=1).indices
    return right.gather(1, best).any(dim=1).double().mean().item()


def by_benchmark(images: Tensor, captions: list[list[str]], of_text: dict[str, Tensor], k: int):
    """(image to text, text to image): every caption of every picture is a text, with repeats."""
    texts = [(of_text[text], owner) for owner, own in enumerate(captions) for text in own]
    features, owners = zip(*texts, strict=True)
    unit = torch.nn.functional.normalize
    scores = unit(torch.stack(features), dim=-1) @ unit(images, dim=-1).T
    right = torch.tensor(owners)[:, None] == torch.arange(len(images))
    return share_with_a_right_one(scores.T, right.T, k), share_with_a_right_one(scores, right, k)


@pytest.mark.parametrize("seed", range(5))
def test_five_captions_count_as_in_clip_benchmark(seed):
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(40, 16, generator=rng).double()
    captions = [[f"{image} {k}" for k in range(5 + image % 2)] for image in range(40)]
    of_text = {
        text: images[image] + 1.2 * torch.randn(16, generator=rng).double()
        for image, own in enumerate(captions)
        for text in own
    }
    rates = measured_features(images, captions, of_text)
    for k in (1, 5, 10):
        to_text, to_image = by_benchmark(images, captions, of_text, k)
        assert rates.image_to_text.by_k()[k].recall.value == pytest.approx(to_text, abs=1e-9)
        assert rates.text_to_image.by_k()[k].recall.value == pytest.approx(to_image, abs=1e-9)
    assert 0.2 < rates.text_to_image.at_1.recall.value < 0.9


def test_a_caption_of_two_pictures_is_half_right_in_clip_benchmark():
    """There it is two queries, each with one right picture; here one query that finds either."""
    images = torch.eye(2)
    of_text = {"same": torch.tensor([1.0, 0.5]), "a": images[0], "b": images[1]}
    captions = [["same", "a"], ["same", "b"]]
    assert by_benchmark(images, captions, of_text, 1)[1] == 3 / 4
    assert measured_features(images, captions, of_text).text_to_image.at_1.recall.value == 1


def test_ranks_of_single_images_are_kept(clip, shapes, tmp_path):
    """By position in the split, that of an image that cannot be used left out; captions by their
    image."""
    folder = shutil.copytree(shapes, tmp_path / "one_bad")
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    rows[0]["text"] = [rows[0]["text"], "another"]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / rows[1]["file_name"]).write_bytes(b"no image")
    lenient = config(folder).model_copy(update={"max_bad_fraction": 0.1})
    data = open_data(lenient, "all")
    bad = data.identifiers.index(rows[1]["file_name"])
    twice = data.identifiers.index(rows[0]["file_name"])
    result = measured(clip, data)
    images, captions = (result.per_item[way] for way in ("image to text", "text to image"))
    assert images.items == [str(k) for k in range(16) if k != bad]
    assert captions.owners.count(str(twice)) == 2
    hits = [rank <= 1 for rank in captions.values["rank"]]
    assert sum(hits) / 16 == pytest.approx(result.rates.text_to_image.at_1.recall.value)
