"""Published data sets opened as plain folders: one line says which setting reads them."""

from __future__ import annotations

import shutil

import pytest

from tests.helpers.published import write_coco, write_karpathy_coco, write_karpathy_flickr
from textdiff.data import DataConfig, open_data
from textdiff.errors import DataError


def config_of(root, **config) -> DataConfig:
    return DataConfig(source=str(root), image_size=8, **config)


def error_of(root) -> str:
    with pytest.raises(DataError) as caught:
        open_data(config_of(root), "all")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_coco_2017(root):
    return write_coco(root, part="train2017")


LAYOUTS = {
    "coco": (write_coco, "annotations/captions_val2014.json", {"kind": "coco"}),
    "coco 2017": (
        write_coco_2017,
        "annotations/captions_train2017.json",
        {"kind": "coco", "annotations": "annotations/captions_train2017.json"},
    ),
    "karpathy, coco": (write_karpathy_coco, "dataset_coco.json", {"kind": "karpathy"}),
    "karpathy, flickr": (write_karpathy_flickr, "dataset_flickr30k.json", {"kind": "karpathy"}),
}


@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize(("write", "file", "settings"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_settings_named_read_the_folder(tmp_path, write, file, settings, pictures):
    root = write(tmp_path / "data")
    flags = " ".join(f"--data.{name} {value}" for name, value in settings.items())
    assert len(open_data(config_of(root, **settings), "all")) >= 5
    if not pictures:
        for folder in root.iterdir():
            if folder.is_dir() and folder.name != "annotations":
                shutil.rmtree(folder)
    message = error_of(root)
    assert message.startswith(str(root))
    assert f"; {file} holds " in message
    assert message.endswith(f", which {flags} reads")


def test_captions_of_its_own_are_read_as_ever(tmp_path):
    """A folder that has both: files beside the pictures, or a table, are what is asked for."""
    root = write_coco(tmp_path)
    for picture in root.glob("val2014/*.jpg"):
        picture.with_suffix(".txt").write_text("mine")
    assert open_data(config_of(root), "all").captions == [["mine"]] * 6


def test_pictures_alone_need_no_captions(tmp_path):
    data = open_data(config_of(write_coco(tmp_path), need_captions=False), "all")
    assert data.captions == [[""]] * 6
