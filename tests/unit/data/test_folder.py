"""Image folders: the three forms of captions, stated splits, and every error with its place."""

import json

import pytest
from PIL import Image

from textdiff.data import DataConfig, open_data
from textdiff.errors import DataError


@pytest.fixture
def folder(tmp_path):
    """Two images without captions yet."""
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (20, 10), colour).save(tmp_path / f"{name}.png")
    return tmp_path


def opened(folder, **config):
    return open_data(DataConfig(source=str(folder), image_size=8, **config), "all")


def write_jsonl(folder, *rows):
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    (folder / "metadata.jsonl").write_text(text, "utf-8")


def error(folder, **config) -> str:
    with pytest.raises(DataError) as caught:
        opened(folder, **config)
    message = str(caught.value)
    assert "\n" not in message
    return message


A, B = {"file_name": "a.png", "text": "red"}, {"file_name": "b.png", "text": ["blue", "sky"]}


def test_jsonl(folder):
    write_jsonl(folder, A, "", B)
    data = opened(folder)
    assert data.identifiers == ["a.png", "b.png"]
    assert data.captions == [["red"], ["blue", "sky"]]
    assert data.image(1)[:, 0, 0].tolist() == [0, 0, 255]
    assert data.original_size(0) == (20, 10)


def test_csv_with_several_rows_per_image(folder):
    (folder / "metadata.csv").write_text(
        '\ufefffile_name,text\na.png,"red, bright"\nb.png,blue\na.png,crimson\n', "utf-8"
    )
    assert opened(folder).captions == [["red, bright", "crimson"], ["blue"]]


def test_sidecars(folder):
    (folder / "a.txt").write_text("red\n\ncrimson\n")
    (folder / "b.txt").write_text("blué", "utf-8")
    (folder / "README.txt").write_text("not a caption")
    assert opened(folder).captions == [["red", "crimson"], ["blué"]]


def test_named_columns(folder):
    write_jsonl(folder, {"img": "a.png", "en": "red"}, {"img": "b.png", "en": "blue"})
    assert opened(folder, image_column="img", caption_column="en").captions == [["red"], ["blue"]]


def test_subfolders_and_a_column_fix_the_split(tmp_path):
    for split in ("train", "validation", "test"):
        (tmp_path / split).mkdir()
        for i in range(3):
            Image.new("RGB", (9, 9)).save(tmp_path / split / f"{i}.png")
        rows = [{"file_name": f"{i}.png", "text": "black"} for i in range(3)]
        if split == "train":
            rows[0]["split"] = "test"
        write_jsonl(tmp_path / split, *rows)
    config = DataConfig(source=str(tmp_path))
    assert open_data(config, "val").identifiers == [f"validation/{i}.png" for i in range(3)]
    assert open_data(config, "train").identifiers == ["train/1.png", "train/2.png"]
    assert "train/0.png" in open_data(config, "test").identifiers


def test_a_missing_image_is_named_with_its_line(folder):
    write_jsonl(folder, A, B, {"file_name": "c.png", "text": "green"})
    assert "metadata.jsonl, line 3: image 'c.png' does not exist" in error(folder)


def test_a_missing_image_in_a_csv(folder):
    (folder / "metadata.csv").write_text("file_name,text\na.png,red\nc.png,green\n")
    assert "metadata.csv, line 3: image 'c.png' does not exist" in error(folder)


@pytest.mark.parametrize("bad", ['{"file_name": "b.png"', "[1, 2]", "red"])
def test_a_bad_json_line(folder, bad):
    write_jsonl(folder, A, bad)
    assert "metadata.jsonl, line 2:" in error(folder)


def test_a_missing_column_names_those_there_are(folder):
    write_jsonl(folder, {"file_name": "a.png", "txet": "red"})
    message = error(folder)
    assert "line 1" in message and "file_name, txet" in message
    assert "did you mean 'txet'" in error(folder, caption_column="text")


@pytest.mark.parametrize("text", ["", "  ", None, 3, [], ["red", ""]])
def test_an_unusable_caption(folder, text):
    write_jsonl(folder, {"file_name": "a.png", "text": text})
    assert "line 1: 'text' must be a text or a list of texts" in error(folder)


def test_a_csv_row_with_an_unquoted_comma(folder):
    (folder / "metadata.csv").write_text("file_name,text\na.png,red, bright\n")
    assert "line 2: more fields than columns" in error(folder)


@pytest.mark.parametrize("name", ["../a.png", "/etc/hosts", "x/../../a.png"])
def test_paths_stay_inside_the_folder(folder, name):
    Image.new("RGB", (8, 8)).save(folder.parent / "a.png")
    write_jsonl(folder, {"file_name": name, "text": "red"})
    assert "lies outside the folder" in error(folder)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0.png"])
def test_a_name_that_no_file_can_have(folder, name):
    write_jsonl(folder, {"file_name": name, "text": "red"})
    message = error(folder)
    assert "does not exist" in message and len(message) < 400


def test_an_image_without_caption(folder):
    write_jsonl(folder, A)
    message = error(folder)
    assert "1 of 2 images have no caption, first b.png" in message
    (folder / "metadata.jsonl").unlink()
    assert "2 of 2 images have no caption, first a.png" in error(folder)


def test_an_empty_sidecar(folder):
    (folder / "a.txt").write_text("\n")
    assert "a.txt holds no caption" in error(folder)


def test_captions_that_are_not_utf_8(folder):
    (folder / "a.txt").write_bytes(b"caf\xe9")
    assert "a.txt cannot be read as UTF-8" in error(folder)


def test_an_unknown_split_name(folder):
    write_jsonl(folder, {**A, "split": "holdout"})
    assert "line 1: unknown split 'holdout'" in error(folder)


def test_a_folder_without_images(tmp_path):
    assert "holds no images" in error(tmp_path)
    (tmp_path / "train.parquet").write_bytes(b"")
    assert "*.parquet" in error(tmp_path)


def test_a_corrupt_image_is_counted_and_replaced(folder):
    write_jsonl(folder, A, B)
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:50])
    data = opened(folder, max_bad_fraction=0.5)
    assert data.read([0])[0] == [1]
    assert sum(data.rejected.values()) == 1
