"""`textdiff data info`: table, contact sheet, JSON."""

import json
from pathlib import Path

import pytest
from PIL import Image

from textdiff.commands.data_info import DataInfoSettings, run
from textdiff.data import DataConfig


@pytest.fixture
def settings(tmp_path) -> DataInfoSettings:
    """Nine usable pictures, one of them with a long caption, and one that is too small."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(10):
        Image.new("RGB", (2, 2) if i == 9 else (20, 20), (i * 20, 0, 0)).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text("word " * 20 if i == 3 else f"number {i}")
    return DataInfoSettings(
        data=DataConfig(source=str(folder), image_size=8),
        out=str(tmp_path / "new" / "sheet.png"),
        json=str(tmp_path / "info.json"),
        context_length=16,
    )


def test_command_prints_and_writes(settings, capsys):
    run(settings)
    printed = capsys.readouterr().out
    assert "1 too small" in printed and "1 longer than 16 tokens" in printed
    assert json.loads(Path(settings.json).read_text())["truncated"] == 1
    with Image.open(settings.out) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 8 * 96


def test_keys_of_the_json(settings):
    run(settings)
    numbers = json.loads(Path(settings.json).read_text())
    assert list(numbers) == [
        *("source", "fingerprint", "image_size", "images", "rejected", "original_width"),
        *("original_height", "captions", "captions_per_image", "context_length", "caption_tokens"),
        *("truncated", "longest_caption", "same_picture", "same_caption"),
    ]
    assert numbers["rejected"] == {"too small": {"count": 1, "first": "9.png"}}
    assert list(numbers["original_width"]) == ["min", "median", "max"]
    assert list(numbers["same_picture"]) == ["values", "images", "values_across_splits"]


def test_a_set_without_one_usable_image_is_still_reported(settings, tmp_path, capsys):
    for path in (tmp_path / "pictures").glob("*.png"):
        path.write_bytes(b"no image")
    run(settings)
    assert "10 not an image" in capsys.readouterr().out
    assert not (tmp_path / "new").exists()
