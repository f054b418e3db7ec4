"""Which source a name means, and the splits of a folder."""

from itertools import chain

import pytest
from PIL import Image

from textdiff.data import DataConfig, open_data
from textdiff.data.open import source_kind
from textdiff.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in "abc":
        Image.new("RGB", (8, 8), "red").save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(f"letter {name}")
    return tmp_path


def test_splits_are_disjoint_and_cover_all(folder):
    config = DataConfig(source=str(folder))
    parts = [open_data(config, split).identifiers for split in ("train", "val", "test")]
    assert sorted(chain(*parts)) == open_data(config, "all").identifiers
    assert open_data(config, "all").identifiers == ["a.png", "b.png", "c.png"]


def test_an_empty_split_says_how_to_mend_it(folder):
    config = DataConfig(source=str(folder), val_fraction=0)
    with pytest.raises(DataError, match=r"val split is empty; raise val_fraction"):
        open_data(config, "val")


def test_an_unknown_split(folder):
    with pytest.raises(DataError, match="train, val, test or all"):
        open_data(DataConfig(source=str(folder)), "dev")


@pytest.mark.parametrize(
    ("source", "kind"),
    [("openmoji", "openmoji"), ("a/*.parquet", "hf"), ("owner/name", "hf")],
)
def test_kind_by_name(source, kind):
    assert source_kind(DataConfig(source=source)) == kind


def test_kind_of_a_folder_and_by_choice(folder):
    assert source_kind(DataConfig(source=str(folder))) == "folder"
    assert source_kind(DataConfig(source=str(folder), kind="hf")) == "hf"


@pytest.mark.parametrize("source", ["opnmoji", "/no/such/folder", "./pictures"])
def test_an_unknown_source_says_what_was_tried(source):
    with pytest.raises(
        DataError, match=r"not 'openmoji' or 'scenes', not an existing folder, .* owner/name"
    ):
        open_data(DataConfig(source=source))
