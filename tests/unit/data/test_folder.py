"""Image folders: the three forms of captions, stated splits, and every error with its place."""

import json
import os

import pytest
from PIL import Image

from textdiff.data import DataConfig, open_data
from textdiff.data.text import clean_caption
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
    assert "does not exist" in message and "x" * 101 not in message


def test_an_image_without_caption(folder):
    write_jsonl(folder, A)
    message = error(folder)
    assert "1 of 2 rows and files cannot be used" in message and "b.png: no caption" in message
    (folder / "metadata.jsonl").unlink()
    message = error(folder)
    assert "2 of 2 rows and files" in message and "a.png: no caption; give it a .txt" in message


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


def test_all_flaws_are_listed_at_once(folder):
    write_jsonl(folder, A, {"file_name": "c.png", "text": "x"}, "{", {"file_name": "b.png"})
    message = error(folder)
    assert "3 of 4 rows and files" in message
    for place in ("line 2: image 'c.png'", "line 3: not valid JSON", "line 4: none of the columns"):
        assert place in message


def test_flaws_up_to_the_limit_are_skipped_and_counted(folder):
    write_jsonl(folder, A, B, {"file_name": "c.png", "text": "green"})
    data = opened(folder, max_bad_fraction=0.4)
    assert data.identifiers == ["a.png", "b.png"]
    assert [(flaw.reason, data.survey.seen) for flaw in data.survey.flaws] == [("missing file", 3)]
    assert any("1 of 3 rows and files cannot be used and are skipped" in n for n in data.notes)


def test_flawed_rows_and_unreadable_images_share_the_limit(folder):
    write_jsonl(folder, A, B, {"file_name": "c.png", "text": "green"})
    (folder / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="more than max_bad_fraction"):
        opened(folder, max_bad_fraction=0.4).read([0])
    assert opened(folder, max_bad_fraction=0.9).read([0])[0] == [1]


def test_a_flawed_row_of_an_image_with_another_costs_only_itself(folder):
    write_jsonl(folder, A, {"file_name": "a.png", "text": ""}, B)
    data = opened(folder, max_bad_fraction=0.5)
    assert data.captions == [["red"], ["blue", "sky"]] and len(data.survey.flaws) == 1


@pytest.mark.parametrize(
    "table",
    [
        ",file_name,text\n0,a.png,red\n1,b.png,blue\n",
        "file_name,text,\na.png,red,\nb.png,blue,\n",
        "file_name,text\na.png,red,\nb.png,blue,\n",
        "file_name, text\na.png,red\nb.png,blue\n",
    ],
    ids=["pandas index", "trailing comma", "trailing comma in rows alone", "space in the header"],
)
def test_a_csv_with_unnamed_columns(folder, table):
    (folder / "metadata.csv").write_text(table)
    assert opened(folder).captions == [["red"], ["blue"]]


@pytest.mark.parametrize("break_", ["\u2028", "\x85", "\x0c", "\x1c"])
def test_only_line_breaks_break_lines(folder, break_):
    text = f"red{break_}apple"
    read = clean_caption(text)
    (folder / "metadata.csv").write_text(f"file_name,text\na.png,{text}\nb.png,blue\n", "utf-8")
    assert opened(folder).captions == [[read], ["blue"]]
    (folder / "metadata.csv").unlink()
    (folder / "a.txt").write_text(text, "utf-8")
    (folder / "b.txt").write_text("blue\r\nsky\rsea")
    assert opened(folder).captions == [[read], ["blue", "sky", "sea"]]


def test_a_caption_over_several_lines_of_a_csv(folder):
    (folder / "metadata.csv").write_bytes(b'file_name,text\r\na.png,"red\r\napple"\r\nb.png,blue')
    assert opened(folder).captions == [["red\r\napple"], ["blue"]]


def test_an_image_name_that_is_not_utf_8(folder):
    name = os.fsdecode(b"caf\xe9")
    (folder / "a.png").rename(folder / f"{name}.png")
    (folder / "b.txt").write_text("blue")
    (folder / f"{name}.txt").write_text("red")
    data = opened(folder)
    assert data.identifiers == ["b.png", "caf\\xe9.png"]
    assert data.image(1)[:, 0, 0].tolist() == [255, 0, 0]
    (folder / "b.txt").unlink()
    (folder / f"{name}.txt").unlink()
    message = error(folder)
    assert "caf\\xe9.png: no caption" in message
    message.encode("utf-8")


def test_a_row_that_is_not_utf_8_is_one_flaw(folder):
    (folder / "metadata.csv").write_bytes(b"file_name,text\na.png,caf\xe9\nb.png,blue\n")
    data = opened(folder, max_bad_fraction=0.5)
    assert data.captions == [["blue"]]
    assert "line 2: 'text' is not UTF-8" in str(data.survey.flaws[0])


def test_half_a_surrogate_pair_in_a_caption(folder):
    write_jsonl(folder, '{"file_name": "a.png", "text": "red \\ud83c"}', B)
    assert opened(folder).captions[0] == ["red \ufffd"]


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".avif", ".apng", ".JPG"])
def test_pictures_of_every_suffix_are_read(folder, suffix):
    kinds = {".avif": "AVIF", ".apng": "PNG"}
    Image.new("RGB", (20, 10), "lime").save(folder / f"c{suffix}", kinds.get(suffix, "JPEG"))
    for name in "abc":
        (folder / f"{name}.txt").write_text(name)
    data = opened(folder)
    assert data.identifiers[2] == f"c{suffix}"
    assert data.image(2)[1].float().mean() > 200


def test_a_picture_that_cannot_be_read_is_no_silent_loss(folder):
    for name in "abc":
        (folder / f"{name}.txt").write_text(name)
    (folder / "c.heic").write_bytes(b"")
    assert "c.heic: a kind of picture that cannot be read" in error(folder)


def test_every_file_is_accounted_for(folder):
    for name in ("a.txt", "b.txt", "notes.txt", "d.heic", "list.pdf", ".hidden.png"):
        (folder / name).write_text("text")
    (folder / ".thumbs").mkdir()
    (folder / ".thumbs" / "a.png").write_bytes((folder / "a.png").read_bytes())
    (folder / ".thumbs" / "a.txt").write_text("small")
    os.mkfifo(folder / "pipe.png")
    (folder / "broken.png").symlink_to("nowhere.png")
    data = opened(folder)
    assert data.identifiers == ["a.png", "b.png"]
    assert data.survey.used == {"pictures": 2, "caption files": 2}
    assert data.survey.ignored == {
        "broken link": ["broken.png"],
        "hidden": [".hidden.png", ".thumbs/a.png", ".thumbs/a.txt"],
        "not a regular file": ["pipe.png"],
        "kind of picture that cannot be read": ["d.heic"],
        "other kind of file": ["list.pdf"],
        "text without a picture": ["notes.txt"],
    }


@pytest.fixture
def linked(folder, tmp_path_factory):
    """A captioned folder with links to itself, and to a picture, a caption, a folder elsewhere."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in "cd":
        Image.new("RGB", (9, 9), "lime").save(elsewhere / f"{name}.png")
        (elsewhere / f"{name}.txt").write_text(name)
    for name in "ab":
        (folder / f"{name}.txt").write_text(name)
    (folder / "more").symlink_to(elsewhere)
    (folder / "self").symlink_to(folder)
    (folder / "link.png").symlink_to(elsewhere / "c.png")
    (folder / "link.txt").symlink_to(elsewhere / "c.txt")
    return folder


def test_links_out_of_the_folder_are_refused_and_named(linked):
    data = opened(linked, max_bad_fraction=1)
    assert data.identifiers == ["a.png", "b.png"]
    flaws = [(flaw.where, flaw.reason) for flaw in data.survey.flaws]
    assert flaws == [(name, "link out of the folder") for name in ("link.png", "link.txt", "more")]
    assert "--data.outside-files true" in error(linked)


def test_links_are_followed_where_asked(linked):
    data = opened(linked, outside_files=True)
    names = ["a.png", "b.png", "link.png", "more/c.png", "more/d.png"]
    assert data.identifiers == names and not data.survey.flaws
    assert data.survey.ignored == {"link to a folder that is read anyway": ["self/"]}


def test_a_metadata_row_that_names_a_link_out(linked, tmp_path_factory):
    write_jsonl(linked, A, B, {"file_name": "more/c.png", "text": "lime"})
    data = opened(linked, max_bad_fraction=1)
    assert data.identifiers == ["a.png", "b.png"]
    assert any("'more/c.png' lies outside" in str(flaw) for flaw in data.survey.flaws)
    assert "more/c.png" in opened(linked, outside_files=True, max_bad_fraction=1).identifiers


def test_one_image_with_two_splits(folder):
    write_jsonl(folder, {**A, "split": "train"}, {**A, "split": "test"}, B)
    assert "a.png: listed with two splits: train (" in error(folder)
    assert opened(folder, max_bad_fraction=0.5).identifiers == ["b.png"]


def test_nested_folders_state_the_split(tmp_path):
    for split in ("train", "test"):
        (tmp_path / "images" / split).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "images" / split / "0.png")
        (tmp_path / "images" / split / "0.txt").write_text("black")
    assert opened(tmp_path).splits == ["test", "train"]


def test_what_is_held_out_of_three_pictures_is_said(folder):
    Image.new("RGB", (9, 9)).save(folder / "c.png")
    for name in "abc":
        (folder / f"{name}.txt").write_text(name)
    data = opened(folder)
    assert sorted(data.splits) == ["test", "train", "val"]
    assert data.notes[0].startswith("1 of 3 images held out as val: val_fraction = 0.05 would be")
    assert opened(folder, val_fraction=0, test_fraction=0).notes == []


def test_errors_show_text_from_data_as_text(folder):
    write_jsonl(folder, {"file_name": "\x1b[31m.png", "text": "red"}, {"\x1b[2J" + "x" * 9999: 1})
    message = error(folder)
    assert message.isprintable() and "\\x1b[31m.png" in message and len(message) < 4000


def test_pictures_without_captions_where_none_are_needed(folder):
    data = opened(folder, need_captions=False)
    assert data.identifiers == ["a.png", "b.png"]
    assert data.captions == [[""], [""]]
    assert data.image(0)[:, 0, 0].tolist() == [255, 0, 0]
    (folder / "a.txt").write_text("red")
    assert opened(folder, need_captions=False).captions == [["red"], [""]]
    write_jsonl(folder, {"file_name": "a.png"})
    assert opened(folder, need_captions=False).captions == [[""], [""]]


def test_labels_with_and_without_captions(folder):
    write_jsonl(folder, {**A, "species": "cat"}, {**B, "species": 3})
    assert opened(folder).labels is None
    data = opened(folder, label_column="species")
    assert (data.labels, data.captions[0]) == (["cat", "3"], ["red"])
    assert data.fingerprint != opened(folder).fingerprint
    (folder / "metadata.jsonl").unlink()
    (folder / "metadata.csv").write_text("file_name,species\na.png,cat\nb.png,3\n")
    assert opened(folder, label_column="species", need_captions=False).labels == ["cat", "3"]


@pytest.mark.parametrize("label", ["", None, 1.5, True, ["cat"]])
def test_an_unusable_label(folder, label):
    write_jsonl(folder, {**A, "label": label})
    message = error(folder, label_column="label")
    assert "line 1: 'label' must be the name, id or number of a class" in message


def test_labels_that_are_not_there(folder):
    assert "neither metadata.jsonl nor metadata.csv" in error(
        folder, label_column="label", need_captions=False
    )
    write_jsonl(folder, {**A, "lable": "cat"}, {"file_name": "a.png", "text": "x", "lable": "dog"})
    assert "no column 'label'" in error(folder, label_column="label")
    message = error(folder, label_column="lable", need_captions=False)
    assert "listed with two labels: cat (" in message
    assert "b.png: no label; give it a row" in message
