"""The threshold is a quantile of the best scores of unrelated pictures, found by brute force."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.extractors import SEEN
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.extractor import ExtractorProtocol
from textdiff.retrieval import calibration
from textdiff.retrieval.calibration import (
    FEWEST,
    QUANTILES,
    QUERIES,
    Words,
    calibrate,
    evenly,
    made_up_texts,
    threshold,
)
from textdiff.retrieval.index import Index
from textdiff.retrieval.manifest import FORMAT, IndexedSource, Manifest, Threshold
from textdiff.retrieval.shard import open_shard, write_shard

DIM = 6
PROTOCOL = ExtractorProtocol("numbers", "clip", "0", "projection", DIM, SEEN)


def unit(count: int, seed: int) -> torch.Tensor:
    rows = torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows.double(), dim=1).float()


def unit_mean(rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(rows.mean(dim=0), dim=0)


class Known:
    """A CLIP whose features of caption k are row k of `texts`, and of any other text `unknown`."""

    protocol, batch_size = PROTOCOL, 1

    def __init__(self, captions: list[str], texts: torch.Tensor, unknown: torch.Tensor) -> None:
        self.rows = dict(zip(captions, texts, strict=True))
        self.unknown = unknown

    def encode_texts(self, captions):
        return torch.stack([self.rows.get(text, self.unknown) for text in captions])

    def num_truncated(self, captions):
        return 0

    def encode(self, images):
        raise NotImplementedError

    def prepared(self, config):
        return config


def index_of(folder, features, captions) -> Index:
    folder.mkdir()
    names = [str(number) for number in range(len(features))]
    entry = write_shard(folder, 0, 0, features, names, [[text] for text in captions])
    source = IndexedSource("numbers", {}, "")
    manifest = Manifest(FORMAT, "numbers", PROTOCOL, [source], [entry], removed=[])
    return Index(folder, manifest, [open_shard(folder, entry)])


def captions_of(count: int) -> list[str]:
    """Every third one has a word in common with the next but two; all have "a"."""
    return [f"a thing{k // 6} w{k}" if k % 3 == 0 else f"a w{k}" for k in range(count)]


def test_it_is_brute_force(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "LOOKED_AT", 100)
    count = 40
    captions, pictures, texts = captions_of(count), unit(count, 1), unit(count, 2)
    unlike = -unit_mean(pictures)
    found = calibrate(
        index_of(tmp_path / "index", pictures, captions),
        CachedFeatures(Known(captions, texts, unlike)),
    )
    for queries, limit in ((texts, found.text), (pictures, found.picture)):
        best = []
        for k in range(count):
            related = {k} | {j for j in range(count) if j % 3 == k % 3 == 0 and j // 6 == k // 6}
            scores = (pictures.double() @ queries[k].double()).tolist()
            best.append(max(score for j, score in enumerate(scores) if j not in related))
        value = torch.tensor(best).double().quantile(limit.quantile).item()
        assert limit.value == pytest.approx(value, abs=1e-6)
        assert limit.queries == count


def test_words_that_no_picture_has_count_where_they_score_higher(tmp_path):
    captions, pictures, texts = captions_of(40), unit(40, 1), unit(40, 2)
    clip = Known(captions, texts, pictures[7])
    found = calibrate(index_of(tmp_path / "index", pictures, captions), CachedFeatures(clip))
    assert found.text == Threshold(pytest.approx(1.0), QUANTILES[-1], QUERIES)


@pytest.mark.parametrize(
    ("own", "quantile"), [([0.99] * 40, 0.95), ([0.93] * 40, 0.9), ([0.1] * 40, 0.8)]
)
def test_it_is_as_strict_as_queries_that_belong_to_the_index_allow(own, quantile):
    unrelated = torch.linspace(0, 1, 101, dtype=torch.float64)
    lower = unrelated[:50]
    found = threshold([lower, unrelated], torch.tensor(own, dtype=torch.float64))
    assert found == Threshold(pytest.approx(quantile), quantile, 101)


def test_made_up_texts_are_many_and_always_the_same():
    texts = made_up_texts(200)
    assert texts == made_up_texts(300)[:200] and len(set(texts)) == 200
    assert {len(text.split()) for text in texts} == {1, 2, 3}


def test_too_few_pictures_give_no_threshold(tmp_path):
    captions, pictures = captions_of(FEWEST - 1), unit(FEWEST - 1, 1)
    index = index_of(tmp_path / "index", pictures, captions)
    found = calibrate(index, CachedFeatures(Known(captions, pictures, pictures[0])))
    assert (found.live, found.text, found.picture) == (FEWEST - 1, None, None)


def test_words_of_many_captions_do_not_count():
    words = Words.of([["a red apple"], ["a red pear"], ["A blue pear"], *[["a b"], ["a c"]] * 5])
    assert words.shared(["a red apple"], ["the red plum"])
    assert not words.shared(["a red apple"], ["a plum"])


def test_rows_are_spread_evenly():
    rows = torch.arange(100, 110).numpy()
    assert evenly(rows, 5) == [100, 102, 104, 106, 108]
    assert evenly(rows, 99) == list(range(100, 110))
