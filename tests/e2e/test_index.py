"""`textdiff index` as commands: an index is built, searched, changed; what is wrong is one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.shapes import draw_shape
from tests.helpers.workers import prepared_once
from textdiff import errors
from textdiff.commands import cli

PIXELS = ["--data.min-side", "4"]


def run(*words: str | Path) -> None:
    cli.run([str(word) for word in words])


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny_clip, shapes) -> Path:
    def make(folder: Path) -> None:
        flags = ["--clip", tiny_clip, "--data", shapes, "--split", "train", *PIXELS]
        run("index", "build", *flags, "--out", folder)

    return prepared_once(tmp_path_factory, "index", make)


@pytest.fixture
def index(built, tmp_path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "index"))


@pytest.fixture
def fails(capsys):
    """The error of one line that a command ends with."""

    def message(code: int, *words: str | Path) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(word) for word in words])
        shown = [line for line in capsys.readouterr().err.splitlines() if "threads:" not in line]
        assert ended.value.code == code, shown
        assert len(shown) == 1, shown
        return shown[0].removeprefix("textdiff: error: ")

    return message


def test_search_by_picture_with_json_and_sheet(index, tmp_path, capsys):
    picture, out, sheet = tmp_path / "a.png", tmp_path / "a.json", tmp_path / "sheet.png"
    draw_shape("red", "cross").save(picture)
    run("index", "search", index, "--picture", picture, "--top", "3", "--near", "none",
        "--json", out, "--out", sheet)  # fmt: skip
    shown = " ".join(capsys.readouterr().out.split())
    assert "red cross" in shown
    assert "among 8 pictures of" in shown
    assert "the index has too few pictures to tell" in shown
    answer = json.loads(out.read_text())
    assert answer["query"] == [{"kind": "picture", "value": str(picture), "weight": 1.0}]
    best, *others = answer["hits"]
    assert (best["caption"], len(others)) == ("red cross", 2)
    assert best["score"] == pytest.approx(1, abs=1e-5)
    with Image.open(sheet) as image:
        assert image.width > 3 * 96


def test_parts_have_the_weights_that_were_given_in_order(index, tmp_path):
    picture, out = tmp_path / "a.png", tmp_path / "a.json"
    draw_shape("red", "cross").save(picture)
    run("index", "search", index, "cat", "dog", "--minus", "mouse", "--picture", picture,
        "--weights", "1", "2", "3", "4", "--all", "--json", out)  # fmt: skip
    parts = json.loads(out.read_text())["query"]
    assert [(part["value"], part["weight"]) for part in parts] == [
        ("cat", 1),
        ("dog", 2),
        (str(picture), 3),
        ("mouse", -4),
    ]


def test_add_info_and_remove(index, shapes, tmp_path, capsys):
    run("index", "add", index, "--data", shapes, *PIXELS)
    assert f"{shapes}: 8 pictures added, 8 were in the index already" in capsys.readouterr().out
    run("index", "add", index, "--data", shapes, *PIXELS)
    assert f"{shapes}: all 16 pictures are in the index already" in capsys.readouterr().out
    run("index", "remove", index, "--pictures", "red-cross.png")
    assert "1 pictures removed" in capsys.readouterr().out
    run("index", "info", index, "--json", tmp_path / "info.json")
    info = json.loads((tmp_path / "info.json").read_text())
    assert (info["pictures"], info["removed"], info["shards"]) == (15, 1, 2)
    (source,) = info["sources"]
    assert (source["pictures"], source["trouble"], source["changed"]) == (15, None, False)


def test_pictures_that_sample_drew_besides_data(tiny_clip, shapes, tmp_path, capsys):
    from textdiff.data.picture_files import save_png

    for number, shape in enumerate(("circle", "cross")):
        picture = draw_shape("red", shape)
        save_png(picture, tmp_path / "drawn" / f"{number}.png", {"prompt": f"a {shape}"})
    run("index", "build", "--clip", tiny_clip, "--data", shapes, "--images", tmp_path / "drawn",
        *PIXELS, "--out", tmp_path / "index")  # fmt: skip
    assert f"{tmp_path / 'drawn'}: 2 pictures added" in capsys.readouterr().out
    out = tmp_path / "a.json"
    run("index", "search", tmp_path / "index", "--picture", tmp_path / "drawn" / "1.png",
        "--top", "2", "--near", "none", "--json", out)  # fmt: skip
    wheres = {hit["where"] for hit in json.loads(out.read_text())["hits"]}
    both = {tmp_path / "drawn" / "1.png", shapes.resolve() / "red-cross.png"}
    assert wheres == set(map(str, both))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "an empty query: give a text, or --picture FILE"),
        (["red", "--top", "0"], "--top: "),
        (["red", "--weights", "1", "2"], "--weights has 2, the query 1 parts; give one each"),
        (["red", "--weights", "0"], "--weights: "),
        (["--picture", "nowhere.png"], "--picture nowhere.png: no such file"),
        (["  "], "an empty text"),
    ],
)
def test_a_query_that_cannot_be_asked(index, fails, flags, said):
    assert fails(2, "index", "search", index, *flags).startswith(said)


def test_another_clip(index, other_clip, fails):
    message = fails(2, "index", "search", index, "red", "--clip", other_clip)
    assert message.count("(weights ") == 2


def test_a_damaged_shard(index, fails):
    (path,) = index.glob("shard-*")
    path.write_bytes(path.read_bytes()[:-3])
    assert "is damaged" in fails(3, "index", "search", index, "red")


def test_no_index(tmp_path, fails):
    assert "is no index" in fails(3, "index", "info", tmp_path)


def test_a_source_that_is_gone(tiny_clip, shapes, tmp_path, fails):
    moved = Path(shutil.copytree(shapes, tmp_path / "shapes"))
    index = tmp_path / "index"
    run("index", "build", "--clip", tiny_clip, "--data", moved, *PIXELS, "--out", index)
    moved.rename(tmp_path / "elsewhere")
    flags = ["red circle", "--all", "--out", tmp_path / "sheet.png"]
    assert "is not there any more" in fails(3, "index", "search", index, *flags)
    assert not (tmp_path / "sheet.png").exists()


def test_a_clip_that_is_gone(index, fails):
    manifest = index / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["sha256"]
    manifest.write_text(json.dumps(content | {"clip": "/nowhere/clip"}))
    message = fails(2, "index", "search", index, "red")
    assert message.endswith("/nowhere/clip, is not there; name it: --clip")


def test_a_source_given_twice(tiny_clip, shapes, tmp_path, fails):
    flags = ["--clip", tiny_clip, "--images", shapes, shapes, *PIXELS]
    assert "is given twice" in fails(2, "index", "build", *flags, "--out", tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_lists_without_faiss(index, shapes, fails, monkeypatch):
    monkeypatch.setattr(errors, "missing_packages", lambda extra: ["faiss-cpu"])
    message = fails(2, "index", "add", index, "--data", shapes, "--approximate", "on")
    assert message.startswith("--approximate on needs the package faiss-cpu: pip install")


def test_nothing_said_to_remove(index, fails):
    assert fails(2, "index", "remove", index).startswith("say what to remove")


def test_the_group_alone(fails):
    assert "did you mean 'index build' or 'index add'" in fails(2, "index")
