"""`textdiff data info`: the numbers, the table, the contact sheet."""

import json
from pathlib import Path

import pytest
from PIL import Image

from textdiff.commands.data_info import DataInfoSettings, inspect, run
from textdiff.data import DataConfig, open_data


@pytest.fixture
def settings(tmp_path):
    """Ten pictures: two alike, two with one caption, one caption too long, two unusable files."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    captions = ["red", "green", "green", "word " * 20, *(f"number {i}" for i in range(6))]
    for i, caption in enumerate(captions):
        Image.new("RGB", (10 + i, 20), (max(i, 1) * 20, 0, 0)).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(caption)
    (folder / "8.png").write_bytes(b"no image")
    Image.new("RGB", (2, 2)).save(folder / "9.png")
    return DataInfoSettings(
        data=DataConfig(source=str(folder), image_size=8),
        out=str(tmp_path / "new" / "sheet.png"),
        json=str(tmp_path / "info.json"),
        context_length=16,
    )


def test_report(settings):
    report, usable = inspect(open_data(settings.data, "all"), settings.context_length)
    assert sum(report["images"].values()) == 10
    assert usable == list(range(8))
    assert report["rejected"]["too small"] == {"count": 1, "first": "9.png"}
    assert sum(found["count"] for found in report["rejected"].values()) == 2
    assert report["original_width"] == {"min": 10, "median": 13.5, "max": 17}
    assert report["caption_tokens"] == {"min": 3, "median": 4, "max": 22}
    assert report["truncated"] == 1
    assert (report["same_picture"]["values"], report["same_picture"]["images"]) == (1, 2)
    assert (report["same_caption"]["values"], report["same_caption"]["images"]) == (1, 2)


def test_command_prints_and_writes(settings, capsys):
    run(settings)
    printed = capsys.readouterr().out
    assert "1 too small" in printed and "1 longer than 16 tokens" in printed
    assert json.loads(Path(settings.json).read_text())["truncated"] == 1
    with Image.open(settings.out) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 8 * 96


def test_a_set_without_one_usable_image_is_still_reported(settings, tmp_path, capsys):
    for path in (tmp_path / "pictures").glob("*.png"):
        path.write_bytes(b"no image")
    run(settings)
    assert "10 not an image" in capsys.readouterr().out
    assert not (tmp_path / "new").exists()
