"""What becomes of a caption: the same whoever reads it, a folder, shards, or parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.tars import png, write_tar
from textdiff.data import BadImage, DataConfig
from textdiff.data.open import open_as_it_is

LONG = "word " * 1999 + "word"
ALONE = "\x00\x1b\ufeff"
WRITTEN = {
    "as it is": ("a red apple", "a red apple"),
    "space around": (" \ta red apple ", "a red apple"),
    "10,000 characters": (LONG, LONG),
    "control characters": ("a\x00 \x1b[31mred apple\x07", "a [31mred apple"),
    "right to left": ("\u200f\u05ea\u05e4\u05d5\u05d7", "\u200f\u05ea\u05e4\u05d5\u05d7"),
    "emoji": ("\U0001f469\u200d\U0001f680\ufe0f rocket", "\U0001f469\u200d\U0001f680\ufe0f rocket"),
    "byte order mark": ("\ufeffa red apple", "a red apple"),
    "markup": ("<b>[red]{{ 7 }}", "<b>[red]{{ 7 }}"),
}
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "no caption"),
    "space": ("   ", "no caption"),
    "control characters alone": (ALONE, "no caption"),
    "not UTF-8": (b"caf\xe9", "not UTF-8"),
}


def raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def as_json(text: str | bytes) -> bytes:
    return b'"' + text + b'"' if isinstance(text, bytes) else json.dumps(text).encode()


def jsonl(folder: Path, text: str | bytes) -> str:
    (folder / "a.png").write_bytes(png("red"))
    row = b'{"file_name": "a.png", "text": ' + as_json(text) + b"}"
    (folder / "metadata.jsonl").write_bytes(row)
    return str(folder)


def csv_file(folder: Path, text: str | bytes) -> str:
    (folder / "a.png").write_bytes(png("red"))
    lines = io.StringIO()
    csv.writer(lines).writerow(["a.png", text if isinstance(text, str) else "TEXT"])
    row = lines.getvalue().encode().replace(b"TEXT", raw(text) if isinstance(text, bytes) else b"")
    (folder / "metadata.csv").write_bytes(b"\xef\xbb\xbffile_name,text\n" + row)
    return str(folder)


def sidecar(folder: Path, text: str | bytes) -> str:
    (folder / "a.png").write_bytes(png("red"))
    (folder / "a.txt").write_bytes(raw(text))
    return str(folder)


def tar_txt(folder: Path, text: str | bytes) -> str:
    return str(write_tar(folder / "a.tar", {"a.png": png("red"), "a.txt": raw(text)}))


def tar_json(folder: Path, text: str | bytes) -> str:
    content = b'{"text": ' + as_json(text) + b"}"
    return str(write_tar(folder / "a.tar", {"a.png": png("red"), "a.json": content}))


def parquet(folder: Path, text: str | bytes | None, listed: bool = False) -> str:
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    stored = pa.array([None if text is None else raw(text)], pa.binary())
    texts = stored.cast(pa.string(), safe=False)
    if listed:
        texts = pa.ListArray.from_arrays([0, 1], texts)
    table = pa.table({"image": pa.array([png("red")], pa.binary()), "text": texts})
    write_table(table, folder / "a.parquet")
    return str(folder / "a.parquet")


def parquet_lists(folder: Path, text: str | bytes) -> str:
    return parquet(folder, text, listed=True)


READERS: dict[str, Callable[[Path, str | bytes], str]] = {
    each.__name__: each
    for each in (jsonl, csv_file, sidecar, tar_txt, tar_json, parquet, parquet_lists)
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("hf"))


def outcome(source: str, cache: Path) -> str:
    """The caption of the only picture, or why the picture or its row cannot be used."""
    data = open_as_it_is(DataConfig(source=source, image_size=8, cache_dir=str(cache)))
    if data.survey.flaws:
        (flaw,) = data.survey.flaws
        return flaw.reason
    try:
        data.image(0)
    except BadImage as error:
        return error.reason
    ((caption,),) = data.captions
    return caption


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", WRITTEN)
def test_what_is_read(tmp_path, tmp_path_factory, reader, case):
    written, expected = WRITTEN[case]
    source = READERS[reader](tmp_path, written)
    assert outcome(source, tmp_path_factory.mktemp("cache")) == expected


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path, tmp_path_factory, reader, case):
    written, reason = REFUSED[case]
    source = READERS[reader](tmp_path, written)
    assert outcome(source, tmp_path_factory.mktemp("cache")) == reason


NO_TEXTS = ["NaN", "null", "3", "[]", '["a", ""]', '["a", null]', "[3]"]
IN_JSON_ALONE = ['["a", NaN]', "{}"]  # a column of parquet has one type


@pytest.mark.parametrize("value", NO_TEXTS)
def test_what_is_no_text_in_parquet(tmp_path, tmp_path_factory, value):
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    columns = {"image": pa.array([png("red")], pa.binary()), "text": [json.loads(value)]}
    write_table(pa.table(columns), tmp_path / "a.parquet")
    assert outcome(str(tmp_path / "a.parquet"), tmp_path_factory.mktemp("cache")) == "no caption"


@pytest.mark.parametrize("value", [*NO_TEXTS, *IN_JSON_ALONE])
@pytest.mark.parametrize("kind", ["metadata.jsonl", "a.tar"])
def test_what_is_no_text_in_json(tmp_path, tmp_path_factory, kind, value):
    row = f'{{"file_name": "a.png", "text": {value}}}'
    files = {"a.png": png("red"), "a.json": row}
    if kind == "a.tar":
        source = write_tar(tmp_path / kind, files)
    else:
        source = tmp_path
        (tmp_path / "a.png").write_bytes(files["a.png"])
        (tmp_path / kind).write_text(row)
    assert outcome(str(source), tmp_path_factory.mktemp("cache")) == "no caption"


def test_a_missing_value_of_a_table(tmp_path, tmp_path_factory):
    """pandas writes NaN as nothing in CSV and as null in parquet; `nan` in a CSV is a word."""
    cache = tmp_path_factory.mktemp("cache")
    assert outcome(parquet(tmp_path, None), cache) == "no caption"
    for name in ("void", "word"):
        (tmp_path / name).mkdir()
    assert outcome(csv_file(tmp_path / "void", ""), cache) == "no caption"
    assert outcome(csv_file(tmp_path / "word", "nan"), cache) == "nan"
