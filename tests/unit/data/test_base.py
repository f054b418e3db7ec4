"""Images with their captions, replacement of unusable images, fingerprints."""

import pytest
import torch

from textdiff.data import BadImage, CaptionedImages, DataConfig
from textdiff.data.entries import Entry
from textdiff.errors import DataError


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


def test_images_captions_and_identifiers_belong_together():
    data = numbers(5)
    assert len(data) == 5
    assert data.captions[3] == ["number 3"] and data.identifiers[3] == "3.png"
    assert data.images([3, 1])[:, 0, 0, 0].tolist() == [3, 1]


def test_the_first_captions_of_each_image():
    source = Numbers(2)
    source.entries[1] = Entry("1.png", ("a", "b", "c"), "1.png")
    every, two = (
        CaptionedImages(source, DataConfig(image_size=4, max_captions=most), "all")
        for most in (None, 2)
    )
    assert every.captions == [["number 0"], ["a", "b", "c"]]
    assert two.captions == [["number 0"], ["a", "b"]]
    assert every.fingerprint != two.fingerprint


def test_an_unusable_image_gives_way_to_the_next_usable_one():
    data = numbers(6, broken={2, 3, 5}, max_bad_fraction=0.5)
    used, images = data.read([2, 0, 5])
    assert used == [4, 0, 0]
    assert images[:, 0, 0, 0].tolist() == used
    assert data.rejected == {"truncated": 3}


@pytest.mark.parametrize("broken", [set(), {0}, {2, 3, 5}, {0, 5}, {1, 2, 3, 4, 5}, set(range(6))])
def test_the_replacements_are_those_of_a_training(broken):
    data = numbers(6, broken, max_bad_fraction=1)
    data.note_bad(dict.fromkeys(broken, "truncated"))
    usable = len(broken) < 6
    read = dict(zip(broken, data.read(sorted(broken))[0], strict=True)) if broken and usable else {}
    assert data.replacements() == read


def test_twenty_thousand_unusable_images_in_a_row():
    """Without a search from each of them."""
    count = 20_000
    data = numbers(count + 3, max_bad_fraction=1)
    data.note_bad(dict.fromkeys(range(2, count + 2), "truncated"))
    assert data.replacements() == dict.fromkeys(range(2, count + 2), count + 2)


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
