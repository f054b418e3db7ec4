"""Features once: the second time nothing is computed, and that is said."""

from __future__ import annotations

import os
import shutil

import pytest
import torch

from tests.helpers.extractors import MeanColours
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.data.entries import Entry
from textdiff.errors import DataError, UsageError
from textdiff.evaluation.features.cache import FeatureCache
from textdiff.evaluation.features.cached import CachedFeatures, clip_features
from textdiff.evaluation.features.clip import ClipExtractor
from textdiff.evaluation.features.feature_set import write_features
from textdiff.evaluation.pictures import PromptedPictures


@pytest.fixture
def cache(tmp_path) -> FeatureCache:
    return FeatureCache(tmp_path / "features")


@pytest.fixture
def folder(shapes, tmp_path):
    return shutil.copytree(shapes, tmp_path / "shapes")


def opened(folder, split="all", **changes):
    config = DataConfig(source=str(folder), image_size=16, min_side=4, **changes)
    return open_data(config, split)


@pytest.fixture(scope="module")
def clip(tiny_clip) -> ClipModel:
    return ClipModel.load(tiny_clip).freeze()


def test_the_second_time_nothing_is_computed(cache, folder, capsys):
    first, second = MeanColours(), MeanColours()
    computed = CachedFeatures(first, cache).of_split(opened(folder))
    assert "features of 16 pictures of" in (said := capsys.readouterr().err)
    assert "computed, kept in" in said
    read = CachedFeatures(second, cache).of_split(opened(folder))
    assert "read, none computed" in capsys.readouterr().err
    assert (sum(first.encoded), second.encoded) == (16, [])
    assert torch.equal(read.features, computed.features)
    assert (read.captions, read.positions) == (computed.captions, computed.positions)
    assert read.source["fingerprint"] == opened(folder).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: {"split": "train"},
        lambda folder: {"resample": "box"},
        lambda folder: (folder / "red-circle.png").write_bytes(
            (folder / "red-cross.png").read_bytes()
        ),
        lambda folder: os.utime(folder / "red-circle.png", (1, 1)),
    ],
    ids=["split", "resize filter", "a picture", "its date"],
)
def test_what_may_have_changed_is_computed_again(cache, folder, change):
    CachedFeatures(MeanColours(), cache).of_split(opened(folder))
    given = change(folder)
    again = MeanColours()
    data = opened(folder, **(given if isinstance(given, dict) else {}))
    CachedFeatures(again, cache).of_split(data)
    assert sum(again.encoded) == len(data)


class OneWithoutCaption:
    """A source of three pictures."""

    attribution = None

    def __init__(self) -> None:
        texts = [("a",), (), ("b",)]
        self.entries = [Entry(str(k), each, str(k), "train") for k, each in enumerate(texts)]

    def read(self, index: int) -> torch.Tensor:
        return torch.full((3, 8, 8), index, dtype=torch.uint8)

    def original_size(self, index: int) -> tuple[int, int]:
        return 8, 8


def test_pictures_that_need_no_caption_are_not_those_that_do(cache):
    found = []
    for need in (False, True):
        config = DataConfig(image_size=8, max_bad_fraction=0.5, need_captions=need)
        data = CaptionedImages(OneWithoutCaption(), config, "all")
        found.append(CachedFeatures(MeanColours(), cache).of_split(data).positions)
    assert found == [[0, 1, 2], [0, 2]]


def test_other_weights_are_other_features(cache, folder):
    CachedFeatures(MeanColours(), cache).of_split(opened(folder))
    other = MeanColours(weights="4567")
    CachedFeatures(other, cache).of_split(opened(folder))
    assert sum(other.encoded) == 16


def test_a_limit(cache, folder):
    extractor = MeanColours()
    assert len(CachedFeatures(extractor, cache).of_split(opened(folder), limit=3)) == 3
    assert sum(extractor.encoded) == 3


def test_bad_pictures_are_known_the_second_time_too(cache, folder):
    (folder / "red-circle.png").write_bytes(b"no image")
    lenient = {"max_bad_fraction": 0.1}
    CachedFeatures(MeanColours(), cache).of_split(opened(folder, **lenient))
    data, again = opened(folder, **lenient), MeanColours()
    features = CachedFeatures(again, cache).of_split(data)
    assert (len(features), again.encoded) == (15, [])
    assert [data.identifiers[k] for k in data.bad] == ["red-circle.png"]
    with pytest.raises(DataError, match="max_bad_fraction"):
        CachedFeatures(again, cache).of_split(opened(folder))


def test_a_damaged_file_is_computed_again(cache, folder, capsys):
    CachedFeatures(MeanColours(), cache).of_split(opened(folder))
    (path,) = cache.folder.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    again = MeanColours()
    CachedFeatures(again, cache).of_split(opened(folder))
    assert sum(again.encoded) == 16
    assert "computed again" in capsys.readouterr().err


def test_drawn_pictures_by_their_pixels(cache):
    drawn = PromptedPictures(["one", "two"], torch.randint(0, 256, (2, 3, 8, 8)).byte())
    one, two = MeanColours(), MeanColours()
    CachedFeatures(one, cache).of_prompted(drawn)
    assert CachedFeatures(two, cache).of_prompted(drawn).prompts == ["one", "two"]
    assert (one.encoded, two.encoded) == ([2], [])
    changed = drawn.images.clone()
    changed[1, 0, 0, 0] ^= 1
    CachedFeatures(two, cache).of_prompted(PromptedPictures(drawn.prompts, changed))
    assert two.encoded == [2]


def test_equal_pictures_of_another_source_are_not_encoded_again(cache):
    images = torch.randint(0, 256, (2, 3, 8, 8)).byte()
    extractor = MeanColours()
    by, texts = CachedFeatures(extractor, cache), [["one"], ["two"]]
    first = by.of_pictures(images, texts, {"source": "a run"})
    again = by.of_pictures(images, texts, {"source": "a report"})
    assert extractor.encoded == [2]
    assert [first.source, again.source] == [{"source": "a run"}, {"source": "a report"}]


def test_a_batch_of_another_size_is_computed_again(cache, folder):
    for size in (4, 8):
        extractor = MeanColours(batch_size=size)
        CachedFeatures(extractor, cache).of_split(opened(folder))
        assert sum(extractor.encoded) == 16


def test_without_a_cache_nothing_is_said(folder, capsys):
    assert len(CachedFeatures(MeanColours()).of_split(opened(folder))) == 16
    assert capsys.readouterr().err == ""


def test_of_a_clip_they_are_those_of_the_clip(clip, cache, folder):
    data = opened(folder)
    features = CachedFeatures(ClipExtractor("judge", clip), cache)
    expected = image_features(clip, data.images(range(16)))
    torch.testing.assert_close(features.of_split(data).features, expected)
    texts = ["red circle", "blue cross", "red circle"]
    for _ in range(2):  # computed, then read
        assert torch.equal(features.of_captions(texts), text_features(clip, texts))
    assert features.num_truncated(["word " * 30, "red"]) == 1


def test_captions_need_a_text_tower():
    with pytest.raises(UsageError, match=r"timm colours .* has no text tower; give a CLIP"):
        CachedFeatures(MeanColours()).of_captions(["a"])


def test_a_file_of_another_model_is_refused(clip, folder, tmp_path):
    features = CachedFeatures(MeanColours()).of_split(opened(folder))
    write_features(tmp_path / "f.safetensors", features)
    own = CachedFeatures(MeanColours()).of_file("--features-file", str(tmp_path / "f.safetensors"))
    assert torch.equal(own.features, features.features)
    with pytest.raises(UsageError, match=r"f\.safetensors holds features by timm colours"):
        clip_features(clip).of_file("--features-file", str(tmp_path / "f.safetensors"))
