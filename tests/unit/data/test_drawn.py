"""Pictures that hold their prompts."""

from __future__ import annotations

import pytest
from PIL import Image

from textdiff.data import DataConfig, open_data
from textdiff.data.drawn import is_drawn, prompt_of
from textdiff.data.open import source_kind
from textdiff.data.picture_files import save_png
from textdiff.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for k, prompt in enumerate(["a red circle", "zwei\nZeilen, ü"]):
        picture = Image.new("RGB", (16, 16), (200, 10 * k, 0))
        save_png(picture, tmp_path / f"{k:05d}-seed0.png", {"prompt": prompt, "seed": 0})
    Image.new("RGB", (40, 20)).save(tmp_path / "grid.png")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (tmp_path / "fakes.jpg").write_bytes(b"")
    return tmp_path


def test_prompts_are_the_captions_and_the_grid_is_not_counted(folder):
    config = DataConfig(source=str(folder), image_size=8)
    assert source_kind(config) == "drawn"
    data = open_data(config, "all")
    assert data.captions == [["a red circle"], ["zwei\nZeilen, ü"]]
    assert data.identifiers == ["00000-seed0.png", "00001-seed0.png"]
    assert data.images([0, 1]).shape == (2, 3, 8, 8)
    assert data.original_size(0) == (16, 16)


def test_captions_beside_the_pictures_come_first(folder):
    for name in ("00000-seed0", "00001-seed0", "grid", "torn"):
        (folder / f"{name}.txt").write_text("told")
    assert not is_drawn(folder)
    assert source_kind(DataConfig(source=str(folder))) == "folder"


def test_other_pictures_are_not_drawn_ones(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert prompt_of(tmp_path / "a.png") is None
    assert not is_drawn(tmp_path)
    assert not is_drawn(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no PNG with a prompt inside"):
        open_data(DataConfig(source=str(tmp_path), kind="drawn"), "all")


def test_links_are_not_followed(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("outside")
    (folder / "00000-seed0.png").rename(other / "a.png")
    (folder / "00000-seed0.png").symlink_to(other / "a.png")
    assert open_data(DataConfig(source=str(folder)), "all").captions == [["zwei\nZeilen, ü"]]
