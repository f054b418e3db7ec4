"""Numbers of a prior by hand: what stands for images, and how near it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.helpers.embeddings import embeddings
from textdiff.errors import DataError
from textdiff.evaluation.prior.measure import Rows, draw_best, measure_prior, rows_of
from textdiff.evaluation.prior.result import PriorResult
from textdiff.evaluation.prior.table import print_nearness
from textdiff.evaluation.results import from_json, to_json
from textdiff.pipeline.prior import Prior
from textdiff.pipeline.prior.config import EmbeddingSampling

EYE = torch.eye(4)
ROWS = Rows(
    identifiers=["0.png", "1.png", "2.png"],
    captions=["a", "a", "b"],
    images=EYE[:3],
    texts=torch.stack([EYE[0], EYE[0], EYE[2]]),
    mean=EYE[:3].mean(0),
)


@pytest.fixture(scope="module")
def result() -> PriorResult:
    """Of embeddings that are the image, the other image of the caption, and the wrong one."""
    return measure_prior(ROWS, {"best of 1": EYE[[0, 0, 1]]})


def test_cosines_and_ranks(result):
    drawn = result.results["best of 1"]
    assert drawn.cosine.value == pytest.approx(1 / 3)
    assert drawn.cosine_of_text.value == pytest.approx(2 / 3)
    assert drawn.cosine_of_another.value == pytest.approx(0)
    assert drawn.rates.at_1.recall.value == pytest.approx(2 / 3)
    assert drawn.rates.at_1.chance == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    assert result.per_item["best of 1"].values["rank"] == [1, 1, 3]
    assert result.per_item["best of 1"].items == ROWS.identifiers


def test_what_stands_beside(result):
    assert list(result.results) == ["best of 1", "text embedding", "mean embedding", "image itself"]
    text, mean, itself = (result.results[name] for name in list(result.results)[1:])
    assert text.cosine_of_text.value == pytest.approx(1)
    assert text.cosine.value == pytest.approx(2 / 3)
    assert mean.cosine.value == pytest.approx(3**-0.5)
    assert itself.cosine.value == itself.rates.at_1.recall.value == 1
    assert itself.cosine_of_text.value == pytest.approx(2 / 3)
    assert (result.searched, result.captions) == (3, 2)
    assert result.image_to_text.at_1.recall.value == pytest.approx(2 / 3)  # "b" ties for image 1


def test_images_of_a_caption_are_drawn_again_together(result):
    """One caption is right at both its images, the other wrong: 0, 2/3 and 1 are all there is."""
    recall = result.results["best of 1"].rates.at_1.recall
    assert (recall.low, recall.high) == (0, 1)


def test_rows_of_a_split():
    data = embeddings().of_split("train")
    rows = rows_of(data, limit=3)
    assert rows.captions == ["caption 0", "caption 0", "caption 2"]
    assert torch.equal(rows.texts, data.embeddings.text_of(rows.captions))
    assert torch.equal(rows.images, data.image[:3])
    assert rows.groups.tolist() == [0, 0, 1]


def test_an_image_without_caption():
    content = embeddings()
    bare = replace(content, captions=[[], *content.captions[1:]])
    with pytest.raises(DataError, match="1 of 4 images have no caption, the first is number 0"):
        rows_of(bare.of_split("train"), None)


@pytest.mark.parametrize(
    ("count", "said"), [(1, "1 image to search among"), (2, "all 2 images have one caption")]
)
def test_too_few(count, said):
    rows = Rows(
        ROWS.identifiers[:count],
        ROWS.captions[:count],
        ROWS.images[:count],
        ROWS.texts[:count],
        ROWS.mean,
    )
    with pytest.raises(DataError, match=said):
        measure_prior(rows, {})


def test_best_of_more_is_nearer_to_the_text(tiny_priors):
    prior, captions = Prior.load(tiny_priors / "diffusion"), ["red circle", "green cross"] * 4
    drawn = draw_best(prior, captions, [4, 1, 2], EmbeddingSampling(num_steps=2))
    assert list(drawn) == ["best of 1", "best of 2", "best of 4"]
    text = prior.text_embeddings(captions)
    one, two, four = ((each * text).sum(1) for each in drawn.values())
    assert (one <= two).all() and (two <= four).all()
    assert (one < four).any()


def test_keys_on_disk(result):
    content = to_json(result)
    assert set(content["results"]["best of 1"]) == {
        *("cosine", "cosine_of_text", "cosine_of_another"),
        *("R@1", "R@5", "R@10", "median rank"),
    }
    assert to_json(from_json(PriorResult, content)) == content


def test_table(result, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    print_nearness(result, "shapes")
    shown = capsys.readouterr().out
    assert "Embeddings for 3 images of shapes" in shown
    assert all(name in shown for name in result.results)
    assert "images themselves among the 2 captions: R@1 66.7%" in shown
