"""Splits, replacement of unusable images, fingerprints, and which source a name means."""

from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from textdiff.data import BadImage, CaptionedImages, DataConfig, open_data
from textdiff.data.base import Entry, assign_splits, choose, source_kind
from textdiff.errors import DataError, UsageError


class Numbers:
    """A source whose image i is filled with i; those in `broken` cannot be read."""

    attribution = None

    def __init__(self, count, broken=(), reason="truncated"):
        self.entries = [Entry(f"{i}.png", (f"number {i}",), f"{i}.png") for i in range(count)]
        self.broken, self.reason = broken, reason

    def read(self, index):
        if index in self.broken:
            raise BadImage(self.reason)
        return torch.full((3, 4, 4), index, dtype=torch.uint8)

    def original_size(self, index):
        return 4, 4


def numbers(count, broken=(), **config):
    return CaptionedImages(Numbers(count, broken), DataConfig(image_size=4, **config), "all")


def entries_of(groups, splits=None):
    splits = splits or [None] * len(groups)
    return [
        Entry(str(i), ("a",), g, s) for i, (g, s) in enumerate(zip(groups, splits, strict=True))
    ]


@given(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=60))
def test_a_group_is_never_split(groups):
    splits = assign_splits(entries_of(groups), 0.3, 0.3)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))


def test_fractions_are_kept_roughly():
    splits = assign_splits(entries_of([str(i) for i in range(4000)]), 0.1, 0.2)
    assert splits.count("val") == pytest.approx(400, abs=60)
    assert splits.count("test") == pytest.approx(800, abs=90)


def test_an_image_keeps_its_side_when_others_are_added():
    names = [str(i) for i in range(500)]
    few, many = (assign_splits(entries_of(names[:n]), 0.1, 0.1) for n in (300, 500))
    assert few == many[:300]


def test_a_small_set_still_gets_every_split():
    assert set(assign_splits(entries_of("abc"), 0.05, 0.05)) == {"train", "val", "test"}
    assert assign_splits(entries_of("a"), 0.05, 0.05) == ["train"]
    assert set(assign_splits(entries_of("abcdefgh"), 0, 0)) == {"train"}


def test_stated_splits_win_and_get_nothing_by_hash():
    names = [str(i) for i in range(200)]
    stated = ["test"] * 50 + ["train"] * 100 + [None] * 50
    splits = assign_splits(entries_of(names, stated), 0.2, 0.2)
    assert splits[:50] == ["test"] * 50
    assert set(splits[50:]) == {"train", "val"}


def test_choosing_is_stable_under_growth_of_the_limit():
    entries = entries_of([str(i) for i in range(100)])
    ten, twenty = choose(entries, 10), choose(entries, 20)
    assert len(ten) == 10 and set(ten) < set(twenty)
    assert twenty == sorted(twenty, key=entries.index)
    assert choose(entries, None) == choose(entries, 1000) == entries


def test_images_captions_and_identifiers_belong_together():
    data = numbers(5)
    assert len(data) == 5
    assert data.captions[3] == ["number 3"] and data.identifiers[3] == "3.png"
    assert data.images([3, 1])[:, 0, 0, 0].tolist() == [3, 1]


def test_an_unusable_image_gives_way_to_the_next_usable_one():
    data = numbers(6, broken={2, 3, 5}, max_bad_fraction=0.5)
    used, images = data.read([2, 0, 5])
    assert used == [4, 0, 0]
    assert images[:, 0, 0, 0].tolist() == used
    assert data.rejected == {"truncated": 3}


def test_an_unusable_image_is_counted_once():
    data = numbers(4, broken={1}, max_bad_fraction=0.25)
    for _ in range(3):
        data.read([1])
    assert data.rejected == {"truncated": 1}


def test_too_many_unusable_images_stop_the_run():
    data = numbers(10, broken={4, 5}, max_bad_fraction=0.1)
    with pytest.raises(DataError, match=r"2 of 10 .*first: 4\.png.*truncated \(2\).*data info"):
        data.read(range(10))


def test_the_limit_counts_against_the_whole_source_not_the_split():
    config = DataConfig(image_size=4, max_bad_fraction=0.02, val_fraction=0.1)
    every = Numbers(100, broken=range(100))
    val = CaptionedImages(every, config, "val")
    val.note_bad({0: "truncated", 1: "truncated"})
    with pytest.raises(DataError, match="3 of 100"):
        val.note_bad({2: "truncated"})


def test_no_usable_image_at_all():
    with pytest.raises(DataError, match="no image of split 'all' can be used"):
        numbers(3, broken={0, 1, 2}, max_bad_fraction=1).read([0])


def test_an_image_without_caption_is_unusable():
    source = Numbers(2)
    source.entries[0] = Entry("0.png", ("",), "0.png")
    data = CaptionedImages(source, DataConfig(max_bad_fraction=0.5), "all")
    assert data.read([0])[0] == [1]
    assert data.rejected == {"no caption": 1}


def test_one_image_asked_for_by_number_is_never_replaced():
    with pytest.raises(BadImage, match=r"1\.png cannot be used: truncated") as caught:
        numbers(3, broken={1}).images([0, 1])
    assert caught.value.reason == "truncated"


def test_fingerprint_sees_captions_names_and_looks():
    renamed, recaptioned = Numbers(5), Numbers(5)
    renamed.entries[1] = Entry("b.png", ("number 1",), "1.png")
    recaptioned.entries[1] = Entry("1.png", ("one",), "1.png")
    small = DataConfig(image_size=4)
    prints = [
        CaptionedImages(Numbers(5), small, "all").fingerprint,
        CaptionedImages(renamed, small, "all").fingerprint,
        CaptionedImages(recaptioned, small, "all").fingerprint,
        CaptionedImages(Numbers(5), DataConfig(image_size=8), "all").fingerprint,
        CaptionedImages(Numbers(5), DataConfig(image_size=4, resize="pad"), "all").fingerprint,
    ]
    assert len(set(prints)) == 5
    assert CaptionedImages(Numbers(5), small, "all").fingerprint == prints[0]


@pytest.fixture
def folder(tmp_path):
    for name in "abc":
        Image.new("RGB", (8, 8), "red").save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(f"letter {name}")
    return tmp_path


def test_splits_are_disjoint_and_cover_all(folder):
    config = DataConfig(source=str(folder))
    parts = [open_data(config, split).identifiers for split in ("train", "val", "test")]
    assert sorted(chain(*parts)) == open_data(config, "all").identifiers
    assert open_data(config, "all").identifiers == ["a.png", "b.png", "c.png"]


def test_an_empty_split_says_how_to_mend_it(folder):
    config = DataConfig(source=str(folder), val_fraction=0)
    with pytest.raises(DataError, match=r"val split is empty; raise val_fraction"):
        open_data(config, "val")


def test_an_unknown_split(folder):
    with pytest.raises(DataError, match="train, val, test or all"):
        open_data(DataConfig(source=str(folder)), "dev")


@pytest.mark.parametrize(
    ("source", "kind"),
    [("openmoji", "openmoji"), ("a/*.parquet", "hf"), ("owner/name", "hf")],
)
def test_kind_by_name(source, kind):
    assert source_kind(DataConfig(source=source)) == kind


def test_kind_of_a_folder_and_by_choice(folder):
    assert source_kind(DataConfig(source=str(folder))) == "folder"
    assert source_kind(DataConfig(source=str(folder), kind="hf")) == "hf"


@pytest.mark.parametrize("source", ["opnmoji", "/no/such/folder", "./pictures"])
def test_an_unknown_source_says_what_was_tried(source):
    with pytest.raises(DataError, match=r"not 'openmoji', not an existing folder, .* owner/name"):
        open_data(DataConfig(source=source))


def test_fractions_must_leave_something():
    from textdiff.config import build

    with pytest.raises(UsageError, match="must be below 1"):
        build(DataConfig, [("a.yaml", {"val_fraction": 0.5, "test_fraction": 0.5})])
