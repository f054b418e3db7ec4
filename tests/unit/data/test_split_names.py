"""Splits by names of files and folders, compared with how `datasets` reads them."""

import pytest

from textdiff.data.split_names import split_of_name, split_of_path


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("test.parquet", "test"),
        ("train-00000-of-00001.parquet", "train"),
        ("my_validation_0.parquet", "val"),
        ("val2017", "val"),
        ("Dev", "val"),
        ("eval-data", "test"),
        ("training", "train"),
        ("latest.parquet", None),
        ("testament.parquet", None),
        ("0000.parquet", None),
        ("train-of-test", "test"),
    ],
)
def test_names(name, split):
    assert split_of_name(name) == split


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("test/0000.parquet", "test"),
        ("en/validation/part-0.parquet", "val"),
        ("data/test-00000-of-00001.parquet", "test"),
        ("test/train/0.parquet", "train"),
        ("train/test.parquet", "train"),
        ("data/0.parquet", None),
    ],
)
def test_paths(path, split):
    assert split_of_path(path.split("/")) == split


@pytest.mark.parametrize("keyword", ["train", "training", "validation", "valid", "dev", "val"])
def test_as_datasets_reads_them(keyword):
    names = pytest.importorskip("datasets.data_files").SPLIT_KEYWORDS
    expected = next(str(split) for split, words in names.items() if keyword in words)
    assert split_of_name(f"x-{keyword}.0") == {"validation": "val"}.get(expected, expected)
