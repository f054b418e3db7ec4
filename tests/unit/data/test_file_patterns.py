"""Names that stand for several files."""

from __future__ import annotations

from pathlib import Path

import pytest

from textdiff.data.file_patterns import base_of, expand_braces, files_of, split_of_file
from textdiff.errors import DataError

EXPANDED = {
    "a.tar": ["a.tar"],
    "{000..003}.tar": ["000.tar", "001.tar", "002.tar", "003.tar"],
    "{8..11}": ["8", "9", "10", "11"],
    "{08..11}": ["08", "09", "10", "11"],
    "{3..1}": ["3", "2", "1"],
    "{0..10..5}": ["0", "5", "10"],
    "{10..0..-5}": ["10", "5", "0"],
    "{-1..1}": ["-1", "0", "1"],
    "{train,val}/{0..1}": ["train/0", "train/1", "val/0", "val/1"],
    "{a,b{1,2}}": ["a", "b1", "b2"],
    "x{,-y}": ["x", "x-y"],
    "{x}{": ["{x}{"],
}


@pytest.mark.parametrize("pattern", EXPANDED)
def test_braces(pattern):
    assert expand_braces(pattern) == EXPANDED[pattern]


@pytest.mark.parametrize("pattern", [p for p in EXPANDED if p != "{x}{"])
def test_braces_as_webdataset_reads_them(pattern):
    braceexpand = pytest.importorskip("braceexpand")
    assert expand_braces(pattern) == list(braceexpand.braceexpand(pattern))


def test_too_many_names_are_refused_at_once():
    with pytest.raises(DataError, match="more than 100,000 names"):
        expand_braces("{0..9999999999}.tar")
    with pytest.raises(DataError, match="more than 100,000 names"):
        expand_braces("{0..999}{0..999}.tar")


@pytest.fixture
def files(tmp_path, monkeypatch) -> Path:
    for name in ("a/train-0.tar", "a/train-1.tar", "a/test/0.tar", "a/{0,1}*.tar"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("a/train-0.tar", ["train-0.tar"]),
        ("a/train-{0..1}.tar", ["train-0.tar", "train-1.tar"]),
        ("a/{train-1,train-*}.tar", ["train-1.tar", "train-0.tar"]),
        ("a/**/0.tar", ["test/0.tar"]),
        ("a/{0,1}*.tar", ["{0,1}*.tar"]),
    ],
)
def test_files_each_once(files, source, names):
    expected = [f"a/{name}" for name in names]
    assert [path.as_posix() for path in files_of(source, "tar file")] == expected
    whole = files_of(f"{files}/{source}", "tar file")
    assert [path.relative_to(files).as_posix() for path in whole] == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a/train-{0..2}.tar", r"no tar file matches a/train-2\.tar, of a/train-\{0\.\.2\}\.tar"),
        ("b/*.tar", r"no tar file matches b/\*\.tar$"),
    ],
)
def test_a_name_without_a_file(files, source, message):
    with pytest.raises(DataError, match=message):
        files_of(source, "tar file")


@pytest.mark.parametrize(
    ("source", "base"),
    [("a/b/*.tar", "a/b"), ("a/{b,c}/0.tar", "a"), ("0.tar", "."), ("/x/0.tar", "/x")],
)
def test_the_folder_of_a_pattern(source, base):
    assert base_of(source) == Path(base)


@pytest.mark.parametrize(
    ("base", "path", "split"),
    [
        ("a", "a/train-0.tar", "train"),
        ("a", "a/test/0.tar", "test"),
        ("my/val", "my/val/0.tar", "val"),
        ("a/old test", "a/old test/0.tar", None),
        ("test/a", "test/a/0.tar", None),
    ],
)
def test_splits(base, path, split):
    assert split_of_file(Path(path), Path(base)) == split
