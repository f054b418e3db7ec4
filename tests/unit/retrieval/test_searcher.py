"""Search by text and picture: the weighted sum of unit features, and what counts as a match."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from tests.helpers.indexes import build, opened
from tests.helpers.shapes import draw_shape
from textdiff.clip import ClipModel
from textdiff.errors import UsageError
from textdiff.evaluation.features.clip import ClipExtractor
from textdiff.retrieval import Index, Query, Searcher, Weighted

NAN = float("nan")


@pytest.fixture(scope="module")
def clip(tiny_clip) -> ClipModel:
    return ClipModel.load(tiny_clip).freeze()


@pytest.fixture(scope="module")
def searcher(clip, shapes, tmp_path_factory) -> Searcher:
    extractor = ClipExtractor("tiny", clip)
    data = opened(shapes)
    return Searcher(build(tmp_path_factory.mktemp("i") / "x", data, extractor=extractor), clip)


def texts(*parts: tuple[str, float]) -> list[Weighted[str]]:
    return [Weighted(text, weight) for text, weight in parts]


def test_scores_are_cosines_with_the_weighted_sum(searcher, clip):
    picture = draw_shape("blue", "square")
    query = Query(texts(("red circle", 2.0), ("green", -0.5)), [Weighted(picture, 0.7)])
    found = searcher.search(query, top=16, near=None)
    extractor = ClipExtractor("tiny", clip)
    row = next(r for r in range(16) if searcher.index.caption(r) == "blue square")
    features = torch.cat(
        [extractor.encode_texts(["red circle", "green"]), searcher.index.rows.take([row])]
    )
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    total = (torch.tensor([[2.0], [-0.5], [0.7]]).double() * unit).sum(dim=0)
    rows = searcher.index.rows.take([hit.row for hit in found.hits]).double()
    expected = rows @ total / total.norm()
    assert [hit.score for hit in found.hits] == pytest.approx(expected.tolist(), abs=1e-5)
    assert sorted(expected.tolist(), reverse=True) == expected.tolist()
    liked = 2 * unit[0] + 0.7 * unit[2]
    expected = rows @ liked / liked.norm()
    assert [hit.likeness for hit in found.hits] == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_picture_of_the_index_finds_itself(searcher):
    query = Query(pictures=[Weighted(draw_shape("green", "cross"))])
    best = searcher.search(query, top=1, near=None).hits[0]
    assert (best.caption, best.score) == ("green cross", pytest.approx(1, abs=1e-5))


def test_transparent_pictures_lie_on_white(searcher):
    picture = draw_shape("green", "cross").convert("RGBA")
    clear = [(r, g, b, 0 if (r, g, b) == (255,) * 3 else a) for r, g, b, a in picture.getdata()]
    cut = Image.new("RGBA", picture.size)
    cut.putdata(clear)
    best = searcher.search(Query(pictures=[Weighted(cut)]), top=1, near=None).hits[0]
    assert best.caption == "green cross"


def test_a_small_index_cannot_tell_what_matches(searcher):
    found = searcher.search(Query(texts(("red", 1.0))))
    assert (found.threshold, found.quantile, found.nothing_matches) == (None, None, False)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (Query(), "an empty query"),
        (Query(texts((" ", 1.0))), "an empty text"),
        (Query(texts(("red", 0.0))), "weights"),
        (Query(texts(("red", NAN))), "weights"),
        (Query(texts(("red", 1.0), ("red", -1.0))), "cancel each other"),
    ],
)
def test_what_cannot_be_asked_is_said(searcher, query, said):
    with pytest.raises(UsageError, match=said):
        searcher.search(query)


def test_another_clip_is_refused_with_both_hashes(searcher, other_clip):
    other = ClipModel.load(other_clip).freeze()
    own = searcher.index.manifest.extractor.weights
    with pytest.raises(UsageError, match=f"{own}.*{other.weights_hash()}"):
        Searcher(Index.open(searcher.index.path), other)
