"""`textdiff data info`: table, contact sheet, JSON."""

import json
import os
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.tars import png, write_tar
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
        *("truncated", "longest_caption", "same_picture", "same_caption", "flaws", "ignored"),
        *("files", "notes", "combinations", "context_length_from", "versions"),
    ]
    assert numbers["rejected"] == {"too small": {"count": 1, "first": "9.png"}}
    assert list(numbers["original_width"]) == ["min", "median", "max"]
    assert list(numbers["same_picture"]) == ["values", "images", "values_across_splits"]


def test_tars(settings, tmp_path, capsys):
    files = {"0.png": png("red"), "0.txt": "red", "1.png": png("blue"), "1.json": "{", "2.txt": "?"}
    write_tar(tmp_path / "shards" / "train-0.tar", files)
    data = DataConfig(source=str(tmp_path / "shards" / "*.tar"), cache_dir=str(tmp_path / "cache"))
    run(settings.model_copy(update={"data": data}))
    numbers = json.loads(Path(settings.json).read_text())
    assert numbers["images"] == {"train": 1, "val": 0, "test": 0}
    assert numbers["rejected"] == {"not JSON": {"count": 1, "first": "train-0.tar/1"}}
    assert numbers["ignored"] == {"text without a picture": ["train-0.tar/2.txt"]}
    assert "1 shards" in capsys.readouterr().out


def test_scenes_say_what_is_held_out_and_what_each_picture_shows(tmp_path, capsys):
    data = DataConfig(
        source="scenes",
        image_size=24,
        object_names=["pig", "star", "heart"],
        level="relations",
        scenes=30,
        held_out=0.3,
        cache_dir=str(tmp_path / "cache"),
    )
    file = tmp_path / "info.json"
    run(DataInfoSettings(data=data, out=str(tmp_path / "sheet.png"), json=str(file)))
    printed = " ".join(capsys.readouterr().out.split())
    numbers = json.loads(file.read_text())
    (kind, colour), *_ = numbers["combinations"]["unseen_pairs"]
    assert "9 of 33" in printed and f"{colour} {kind}" in printed
    assert "3: pig, star, heart" in printed and "held-out relations" in printed
    tests = [row for row in numbers["scenes"] if row["split"] == "test"]
    assert len(numbers["scenes"]) == 30 + 24 + len(tests) and len(tests) == 9 * 4 * 2
    assert tests[0]["facts"]["relation"] and len(tests[0]["captions"]) == 4


def test_a_set_without_one_usable_image_is_still_reported(settings, tmp_path, capsys):
    for path in (tmp_path / "pictures").glob("*.png"):
        path.write_bytes(b"no image")
    run(settings)
    assert "10 not an image" in capsys.readouterr().out
    assert not Path(settings.out).exists()


def test_every_flaw_and_ignored_file_is_listed(settings, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    folder = tmp_path / "pictures"
    rows = [{"file_name": f"{i}.png", "text": f"number {i}"} for i in range(10)]
    rows[2:4] = [{"file_name": "2.png", "text": ""}, {"file_name": "gone.png", "text": "gone"}]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n{")
    (folder / ".DS_Store").write_text("")
    run(settings)
    printed = capsys.readouterr().out
    for text in ("line 3: 'text' must be", "line 4: image 'gone.png'", "line 11: not valid JSON"):
        assert text in printed
    for text in ("3.png: no caption", "9.png cannot be used: too small", "1 hidden (first: .DS_St"):
        assert text in printed
    numbers = json.loads(Path(settings.json).read_text())
    assert len(numbers["flaws"]) == 5
    assert numbers["files"] == {"pictures": 8, "metadata": 1}
    assert numbers["ignored"]["hidden"] == [".DS_Store"]


def test_a_set_in_which_every_row_is_flawed_is_reported(settings, tmp_path, capsys):
    (tmp_path / "pictures" / "metadata.csv").write_text("file,words\n0.png,red\n")
    run(settings)
    assert "missing column" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["[/b] [red]x", "\x1b[31m", "\ud800", "x" * 100_000, "]" * 50])
def test_captions_are_text(settings, tmp_path, capsys, text):
    row = json.dumps({"file_name": "0.png", "text": text})
    (tmp_path / "pictures" / "metadata.jsonl").write_text(row)
    start = time.process_time()
    run(settings)
    assert time.process_time() - start < 20
    assert "\x1b[31m" not in capsys.readouterr().out
    assert Path(settings.out).is_file()


def test_names_are_text(settings, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    folder = (tmp_path / "pictures").rename(tmp_path / "[bold]x")
    Image.new("RGB", (20, 20)).save(folder / "[z].png")
    (folder / "0.png").rename(folder / os.fsdecode(b"caf\xe9 [b].png"))
    source = settings.data.model_copy(update={"source": str(folder)})
    run(settings.model_copy(update={"data": source}))
    printed = capsys.readouterr().out
    assert "[bold]x" in printed and "caf\\xe9 [b].png: no caption" in printed


def test_the_length_that_captions_are_counted_for_is_said(settings, tiny_clip, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    run(settings)
    assert "16 tokens, as --context-length says" in capsys.readouterr().out
    run(settings.model_copy(update={"context_length": None}))
    assert "77 tokens, what CLIP models usually see" in capsys.readouterr().out
    run(settings.model_copy(update={"context_length": None, "clip": str(tiny_clip)}))
    assert f"tokens, those of {tiny_clip}" in capsys.readouterr().out
    assert json.loads(Path(settings.json).read_text())["context_length"] < 77
    with pytest.raises(ValueError, match="give one of the two"):
        DataInfoSettings(clip="x", context_length=5)
