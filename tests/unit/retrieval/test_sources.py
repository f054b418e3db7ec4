"""Which settings open the same pictures."""

from __future__ import annotations

import pytest

from textdiff.data import DataConfig
from textdiff.retrieval.sources import located, same_pictures, whole_source, widened


def settings(**changes):
    return whole_source(DataConfig(**{"source": "openmoji", **changes})).model_dump()


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"image_size": 64, "resize": "pad", "max_images": 3, "val_fraction": 0.2}, True),
        ({"subset": "nature", "skin_tones": True}, True),
        ({"style": "lines"}, False),
        ({"source": "scenes"}, False),
        ({"seed": 1}, False),
    ],
)
def test_names_of_pictures_decide(changes, same):
    assert same_pictures(settings(), settings(**changes)) is same


def test_a_source_is_opened_with_all_that_was_ever_taken():
    one, other = settings(subset="nature"), settings(subset="things", skin_tones=True)
    assert (widened(one, other)["subset"], widened(one, other)["skin_tones"]) == ("all", True)
    assert widened(one, one) == one


def test_paths_hold_everywhere_and_names_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert located("pictures", "folder") == str(tmp_path / "pictures")
    assert located("shards/{000..003}.tar", "tars") == str(tmp_path / "shards/{000..003}.tar")
    assert located("owner/name", "hf") == "owner/name"
    assert located("data/*.parquet", "hf") == str(tmp_path / "data/*.parquet")
