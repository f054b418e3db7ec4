"""Features of pictures that are streamed: all of them, in order, a few at a time."""

from __future__ import annotations

import shutil
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.extractors import MeanColours
from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.data.entries import Entry
from textdiff.errors import CheckpointError, DataError
from textdiff.evaluation.features.ranks import ALONE, Ranks
from textdiff.evaluation.features.stream import (
    digests_of,
    encode_chunks,
    encode_pictures,
    encode_split,
)


class Many:
    """A source of any number of pictures that are made when they are read. Each is of one colour,
    the picture's number."""

    attribution = None

    def __init__(self, count: int, made=lambda picture: None) -> None:
        names = [f"{k:05d}" for k in range(count)]
        self.entries = [Entry(name, (name,), name, "train") for name in names]
        self.made = made

    def read(self, index: int) -> torch.Tensor:
        picture = torch.full((3, 8, 8), index % 251, dtype=torch.uint8)
        self.made(picture)
        return picture

    def original_size(self, index: int) -> tuple[int, int]:
        return 8, 8


def many(count: int, made=lambda picture: None) -> CaptionedImages:
    return CaptionedImages(Many(count, made), DataConfig(image_size=8), "all")


@settings(max_examples=30)
@given(count=st.integers(1, 12), batch_size=st.integers(1, 5))
def test_every_picture_once_and_in_order(count, batch_size):
    extractor = MeanColours(batch_size=batch_size)
    encoded = encode_split(extractor, many(count), range(count), ALONE)
    assert encoded.features[:, 0].tolist() == list(range(count))
    assert encoded.positions == list(range(count))
    assert sum(extractor.encoded) == count
    assert max(extractor.encoded) <= batch_size


def test_indices_in_any_order():
    encoded = encode_split(MeanColours(), many(9), [7, 0, 3, 8, 1], ALONE)
    assert encoded.features[:, 0].tolist() == [7, 0, 3, 8, 1]


def test_no_more_pictures_are_in_memory_than_two_chunks_of_them():
    alive, most = weakref.WeakSet(), []
    data = many(64, made=lambda picture: alive.add(picture))

    def watch(images):
        most.append(len(alive))

    encode_split(MeanColours(batch_size=4, watch=watch), data, range(64), ALONE)
    assert max(most) <= 8
    assert len(most) == 16


def test_pictures_that_cannot_be_used_are_left_out(shapes, tmp_path):
    folder = shutil.copytree(shapes, tmp_path / "bad")
    (folder / "red-circle.png").write_bytes(b"no image")
    config = DataConfig(source=str(folder), image_size=16, min_side=4, max_bad_fraction=0.1)
    data = open_data(config, "all")
    encoded = encode_split(MeanColours(), data, range(16), ALONE)
    lost = data.identifiers.index("red-circle.png")
    assert encoded.positions == [k for k in range(16) if k != lost]
    assert list(data.bad) == [lost]
    whole = open_data(config.model_copy(update={"source": str(shapes)}), "all")
    expected = whole.images(encoded.positions).float().mean(dim=(2, 3))
    assert torch.equal(encoded.features, expected)


def test_too_many_of_them_stop_it(shapes, tmp_path):
    folder = shutil.copytree(shapes, tmp_path / "bad")
    (folder / "red-circle.png").write_bytes(b"no image")
    data = open_data(DataConfig(source=str(folder), image_size=16, min_side=4), "all")
    with pytest.raises(DataError, match="max_bad_fraction"):
        encode_split(MeanColours(), data, range(16), ALONE)


class Drifting(MeanColours):
    """No two calls give the same, as a product's last bits by where a row stands."""

    def encode(self, images):
        return super().encode(images) + len(self.encoded)


def test_equal_pictures_have_equal_features_in_whatever_chunk():
    images = torch.arange(6).view(6, 1, 1, 1).expand(6, 3, 4, 4).byte().repeat(2, 1, 1, 1)
    encoded = encode_pictures(Drifting(batch_size=4), images, ALONE)
    assert torch.equal(encoded.features[:6], encoded.features[6:])
    assert len(encoded.features.unique(dim=0)) == 6


def test_digests_tell_pictures_and_their_shapes_apart():
    flat = torch.zeros(1, 3, 2, 8, dtype=torch.uint8)
    assert not torch.equal(digests_of(flat), digests_of(flat.view(1, 3, 8, 2)))
    assert not torch.equal(digests_of(flat), digests_of(flat + 1))


def test_features_that_are_not_finite_are_refused():
    class Broken(MeanColours):
        def encode(self, images):
            return super().encode(images).masked_fill(images[:, :, 0, 0] == 3, torch.nan)

    with pytest.raises(
        CheckpointError, match=r"by colours are NaN or infinite for 1 of 8.*number 3;"
    ):
        encode_split(Broken(), many(8), range(8), ALONE)


def test_ranks_share_the_chunks():
    """What each of three ranks encodes, by a sum that does nothing: together all, each once."""

    class Alone(Ranks):
        def sum(self, tensor):
            return tensor

    images = torch.arange(1, 12).view(11, 1, 1, 1).expand(11, 3, 4, 4).byte()

    def read(chunks):
        for chunk in chunks:
            yield list(chunk), images[chunk.start : chunk.stop]

    owned = [encode_chunks(MeanColours(), 11, read, Alone(rank, 3)).positions for rank in range(3)]
    assert owned == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
