"""The labelled grid: layout, labels, characters the font lacks."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from textdiff.data import grid, labelled_grid, to_pil
from textdiff.data.grid import GAP, PICTURE_SIDE, TITLE_ROOM, printable, wrap

FONT = ImageFont.load_default(size=13)


def test_to_pil_keeps_pixels():
    images = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8)
    pictures = to_pil(images)
    assert [picture.size for picture in pictures] == [(7, 5)] * 2
    assert np.array_equal(np.asarray(pictures[1]), images[1].permute(1, 2, 0).numpy())


def test_pictures_are_scaled_by_a_whole_factor():
    noise = torch.randint(0, 256, (1, 3, 40, 40), dtype=torch.uint8)
    sheet = labelled_grid(to_pil(noise), ["noise"], columns=3)
    drawn = np.asarray(sheet)[GAP : GAP + 120, GAP : GAP + 120]
    expected = noise[0].permute(1, 2, 0).numpy().repeat(3, 0).repeat(3, 1)
    assert np.array_equal(drawn, expected)


def test_rows_and_columns():
    pictures = [Image.new("RGB", (96, 96), "red")] * 5
    narrow, wide = (labelled_grid(pictures, ["a"] * 5, columns) for columns in (2, 5))
    assert narrow.width == GAP + 2 * (PICTURE_SIDE + GAP)
    assert wide.width == GAP + 5 * (PICTURE_SIDE + GAP)
    assert narrow.height > 2 * wide.height


def test_a_title_takes_its_own_line_and_a_narrow_sheet_grows_for_it():
    picture = [Image.new("RGB", (96, 96), "red")]
    without = labelled_grid(picture, ["a"], 1)
    titled = labelled_grid(picture, ["a"], 1, title="a title wider than a picture")
    assert without.width < titled.width < TITLE_ROOM
    assert titled.height > without.height
    assert labelled_grid(picture, ["a"], 1, title="a title " * 20).width == TITLE_ROOM


def test_long_labels_wrap_and_end_in_an_ellipsis():
    lines = wrap("one two three four five six seven", 9, len)
    assert lines == ["one two", "three", "four f..."]
    assert wrap("one two", 9, len) == ["one two"]
    assert wrap("", 9, len) == []


def test_a_long_word_is_broken():
    assert wrap("abcdefghijkl", 5, len) == ["abcde", "fghij", "kl"]
    assert all(len(line) <= 5 for line in wrap("ab " + "c" * 40, 5, len))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("red apple", "red apple"), ("piñata", "pinata"), ("a – b", "a - b"), ("苹果", "??")],
)
def test_characters_the_font_lacks(text, expected):
    assert printable(text, FONT) == expected


def test_a_label_per_picture_is_required():
    with pytest.raises(ValueError, match="one label each"):
        labelled_grid([Image.new("RGB", (8, 8))], [], 1)


@pytest.mark.parametrize("text", ["x" * 200_000, "x " * 100_000, "\u0301" * 200_000])
def test_a_text_of_any_length_is_cut_in_no_time(text):
    start = time.process_time()
    sheet = labelled_grid([Image.new("RGB", (96, 96))] * 4, [text] * 4, 4, title=text)
    assert time.process_time() - start < 5
    assert sheet.height < 300
    assert wrap(text, 20, len)[-1].endswith("...")


def test_letters_that_no_font_has_are_named(caplog, monkeypatch):
    """They were drawn as '?' without a word."""
    monkeypatch.setattr(grid, "FONTS", ("nowhere.ttf",))
    picture = Image.new("RGB", (96, 96))
    labelled_grid([picture] * 2, ["\u6771\u4eac\u6771", "apple"], columns=2)
    (message,) = caplog.messages
    assert "these letters of the labels: \u6771\u4eac; install one, such as nowhere.ttf" in message


def test_a_label_is_drawn_in_a_font_that_has_its_letters(caplog, monkeypatch):
    pytest.importorskip("matplotlib")
    import matplotlib

    font = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    monkeypatch.setattr(grid, "FONTS", (str(font),))
    georgian = "\u10d5\u10d0\u10e8\u10da\u10d8"
    plain, other = grid.fonts_for(["apple", georgian], 13)
    assert grid.printable(georgian, other) == georgian
    assert other.getname()[0] == "DejaVu Sans"
    assert plain.getname() != other.getname()
    assert caplog.messages == []
