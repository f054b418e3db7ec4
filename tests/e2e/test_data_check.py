"""`textdiff data check`: what it counts is what was planted, and what a training then meets."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.chromium import VARIABLE, find_chromium, laid_out
from tests.helpers.hostile import KINDS, png, row, write_hostile
from tests.helpers.pages import Page, faults
from textdiff.commands.cli import run
from textdiff.data import DataConfig, open_data
from textdiff.errors import DataError

LENIENT = ("--data.image-size", "16", "--data.max-bad-fraction", "1")


@dataclass(frozen=True)
class Planted:
    """folder: the pictures. reasons: of what was planted in them. numbers, page: of a check."""

    folder: Path
    reasons: Counter[str]
    numbers: dict[str, Any]
    page: str


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    root = tmp_path_factory.mktemp("hostile")
    reasons = write_hostile(root / "pictures", each=5, good=80)
    page, numbers = root / "data.html", root / "data.json"
    places = ("--report", str(page), "--json", str(numbers))
    run(["data", "check", str(root / "pictures"), *LENIENT, *places])
    read = json.loads(numbers.read_text())["check"]
    return Planted(root / "pictures", reasons, read, page.read_text())


def test_every_kind_is_counted_exactly(planted):
    rejected = planted.numbers["report"]["rejected"]
    assert {reason: each["count"] for reason, each in rejected.items()} == planted.reasons
    assert KINDS >= 16 and sum(planted.reasons.values()) == 5 * KINDS
    ignored = planted.numbers["report"]["ignored"]
    assert {reason: len(names) for reason, names in ignored.items()} == {"not a regular file": 5}
    assert any(len(names) == 5 and "alike" in names[0] for names in planted.numbers["alike"])
    assert planted.numbers["trouble"] is None


def test_ranges_count_every_usable_picture_and_every_caption(planted):
    usable = sum(split["usable"] for split in planted.numbers["splits"].values())
    for ranges in ("shorter_side", "aspect"):
        assert sum(each["count"] for each in planted.numbers[ranges]) == usable
    counted = sum(each["count"] for each in planted.numbers["caption_tokens"])
    assert counted == planted.numbers["report"]["captions"]


def test_a_training_meets_the_same_and_ends(planted, configs, tmp_path, capsys):
    """With its cache on it decodes every picture of its split."""
    cache = ("--data.cache", "on", "--data.cache-dir", str(tmp_path / "cache"))
    flags = ["--config", str(configs / "clip.yaml"), "--data.source", str(planted.folder)]
    flags += [*LENIENT, *cache, "--clip.image.image-size", "16", "--train.steps", "2"]
    run(["train-clip", *flags, "--run-dir", str(tmp_path / "run")])
    train = planted.numbers["splits"]["train"]
    met = f"{train['images'] - train['usable']} of {train['images']} images could not be used"
    assert met in capsys.readouterr().out


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_same_picture_stands_in_on_every_run(planted, split):
    config = DataConfig(source=str(planted.folder), image_size=16, max_bad_fraction=1)
    data = open_data(config, split)
    backwards = list(reversed(range(len(data))))
    used, _ = data.read(backwards)
    names = data.identifiers
    stood_in = {names[i]: names[j] for i, j in zip(backwards, used, strict=True) if i != j}
    said = planted.numbers["replacements"]
    assert stood_in == {name: said[name] for name in names if name in said}


def test_the_page_is_one_file_and_names_stay_text(planted):
    assert faults(planted.page) == []
    page = Page.of(planted.page)
    for reason, count in planted.reasons.items():
        assert f"{reason} {count}" in page.text
    assert "<script>alert(1)</script> [red]{{ 7 * 7 }}" in page.text


@pytest.mark.parametrize(("width", "height"), [(390, 900), (1440, 900)])
def test_the_page_fits_its_window(planted, tmp_path, width, height):
    browser = find_chromium()
    if browser is None:
        pytest.skip(f"no browser on this machine; ${VARIABLE} names one")
    file = tmp_path / "data.html"
    file.write_text(planted.page)
    page = laid_out(browser, file, width, height, tmp_path)
    assert page["scrollWidth"] <= page["width"] and page["broken"] == 0
    assert page["tooWide"] == [] and page["fetched"] == []


@pytest.mark.parametrize(
    ("files", "flags", "why"),
    [
        ({"a.png": png(0), "a.txt": b"a", "b.png": b"", "b.txt": b"b"}, (), "1 of 2 images"),
        ({"a.png": b"", "a.txt": b"a"}, LENIENT, "no image of split 'train' can be used"),
        ({"a.png": png(0)}, LENIENT, "holds no captioned images"),
        ({"test/a.png": png(0), "test/a.txt": b"a"}, (), "its train split is empty"),
    ],
)
def test_where_a_training_would_not_run_the_page_says_why(tmp_path, files, flags, why):
    for name, content in files.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(content)
    page = tmp_path / "data.html"
    with pytest.raises(DataError, match=why):
        run(["data", "check", str(tmp_path / "data"), "--report", str(page), *flags])
    assert why in Page.of(page.read_text()).text


@pytest.mark.parametrize("command", ["info", "check"])
def test_places_that_are_not_utf_8_are_written_out(tmp_path, command):
    folder = tmp_path / "data" / os.fsdecode(b"caf\xe9")
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(png(0))
    (folder / "metadata.jsonl").write_bytes(row("a.png") + b"\n{")
    out = ("--out", str(tmp_path / "sheet.png")) if command == "info" else ()
    page = () if command == "info" else ("--report", str(tmp_path / "data.html"))
    numbers = ("--json", str(tmp_path / "data.json"))
    run(["data", command, str(tmp_path / "data"), *LENIENT, *out, *page, *numbers])
    written = json.loads((tmp_path / "data.json").read_text())
    rejected = written.get("rejected") or written["check"]["report"]["rejected"]
    assert "caf" in rejected["not JSON"]["first"]
    assert not page or "caf" in (tmp_path / "data.html").read_text()


def test_a_source_that_is_none_leaves_no_page(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        run(["data", "check", str(tmp_path), "--report", str(tmp_path / "data.html")])
    assert not (tmp_path / "data.html").exists()
