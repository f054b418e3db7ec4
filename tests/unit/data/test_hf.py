"""Hugging Face data sets, from local parquet files."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from textdiff.data import DataConfig, open_data
from textdiff.errors import DataError

datasets = pytest.importorskip("datasets")
COLOURS = ["red", "lime", "blue", "white", "black", "yellow"]


def png(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (12, 9), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("hf"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def write(path, columns, features=None):
    datasets.Dataset.from_dict(columns, features=features).to_parquet(str(path))
    return DataConfig(source=str(path), image_size=8)


def test_raw_bytes_and_texts(tmp_path):
    config = write(tmp_path / "a.parquet", {"image": list(map(png, COLOURS)), "text": COLOURS})
    data = open_data(config, "all")
    assert data.captions == [[colour] for colour in COLOURS]
    assert data.image(2)[:, 0, 0].tolist() == [0, 0, 255]
    assert data.original_size(0) == (12, 9)


def test_image_feature_and_lists_of_captions(tmp_path):
    columns = {
        "picture": [{"bytes": png(c), "path": None} for c in COLOURS],
        "captions": [[c, f"all {c}"] for c in COLOURS],
    }
    features = datasets.Features(
        {"picture": datasets.Image(), "captions": datasets.List(datasets.Value("string"))}
    )
    data = open_data(write(tmp_path / "a.parquet", columns, features), "all")
    assert data.captions[1] == ["lime", "all lime"]
    assert data.image(1)[:, 0, 0].tolist() == [0, 255, 0]


def test_file_names_state_the_split(tmp_path):
    columns = {"image": list(map(png, COLOURS)), "text": COLOURS}
    for name in ("train-0.parquet", "train-1.parquet", "validation-0.parquet", "test.parquet"):
        write(tmp_path / name, columns)
    config = DataConfig(source=f"{tmp_path}/*.parquet", image_size=8)
    assert [len(open_data(config, split)) for split in ("train", "val", "test")] == [12, 6, 6]


def test_a_column_states_the_split(tmp_path):
    columns = {
        "image": list(map(png, COLOURS)),
        "text": COLOURS,
        "split": ["train"] * 3 + ["val"] * 2 + ["test"],
    }
    config = write(tmp_path / "a.parquet", columns)
    assert open_data(config, "val").captions == [["white"], ["black"]]


def test_a_row_without_caption_or_image_is_unusable(tmp_path):
    columns = {"image": [None, *map(png, COLOURS[1:])], "text": [*COLOURS[:-1], None]}
    config = write(tmp_path / "a.parquet", columns).model_copy(update={"max_bad_fraction": 0.5})
    data = open_data(config, "all")
    assert [(flaw.where[-5:], flaw.reason) for flaw in data.survey.flaws] == [
        ("row 5", "no caption")
    ]
    assert data.read([0, 4])[0] == [1, 4]
    assert data.rejected == {"no image in this row": 1}


def test_missing_columns_name_those_there_are(tmp_path):
    config = write(tmp_path / "a.parquet", {"image": [png("red")], "label": ["red"]})
    with pytest.raises(DataError, match=r"none of the columns text, .*it has image, label"):
        open_data(config, "all")
    with pytest.raises(DataError, match=r"no column 'lable'.*did you mean 'label'"):
        open_data(config.model_copy(update={"caption_column": "lable"}), "all")
    chosen = config.model_copy(update={"caption_column": "label"})
    assert open_data(chosen, "all").captions == [["red"]]


def test_captions_that_are_no_texts(tmp_path):
    config = write(tmp_path / "a.parquet", {"image": [png("red")], "text": [3]})
    with pytest.raises(DataError, match=r"row 0: 'text' must be a text or a list of texts"):
        open_data(config, "all")


def test_a_column_that_holds_no_images(tmp_path):
    config = write(tmp_path / "a.parquet", {"image": [3], "text": ["red"]})
    with pytest.raises(DataError, match="column 'image' holds no images"):
        open_data(config, "all")


def test_files_that_are_not_there_or_not_parquet(tmp_path):
    with pytest.raises(DataError, match="no parquet file matches"):
        open_data(DataConfig(source=f"{tmp_path}/*.parquet"))
    (tmp_path / "a.parquet").write_text("not parquet")
    with pytest.raises(DataError, match=r"cannot load"):
        open_data(DataConfig(source=str(tmp_path / "a.parquet")))


def test_a_name_that_cannot_be_loaded():
    with pytest.raises(DataError, match=r"'owner/none' is no local folder.*cannot load") as caught:
        open_data(DataConfig(source="owner/none"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", ["{}/0000.parquet", "en/{}/a.parquet", "data/{}-00000.parquet"])
def test_folders_and_names_state_the_split(tmp_path, layout):
    for split, count in (("train", 3), ("validation", 2), ("test", 1)):
        path = tmp_path / "set" / layout.format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, {"image": list(map(png, COLOURS[:count])), "text": COLOURS[:count]})
    config = DataConfig(source=f"{tmp_path}/set/**/*.parquet", image_size=8)
    assert [len(open_data(config, split)) for split in ("train", "val", "test")] == [3, 2, 1]


@pytest.mark.parametrize("name", ["test.parquet", "test/0000.parquet"])
def test_test_data_alone_are_not_trained_on(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    config = write(tmp_path / name, {"image": list(map(png, COLOURS)), "text": COLOURS})
    with pytest.raises(DataError, match=r"train split is empty; all its 6 images are .* test"):
        open_data(config, "train")
    assert len(open_data(config, "test")) == 6


@pytest.fixture
def rows_with_paths(tmp_path):
    """A parquet of paths: a picture beside it, one elsewhere, by a link, a FIFO, and by `..`."""
    home, elsewhere = tmp_path / "data", tmp_path / "secret.png"
    home.mkdir()
    (home / "own.png").write_bytes(png("red"))
    elsewhere.write_bytes(png("blue"))
    (home / "link.png").symlink_to(elsewhere)
    os.mkfifo(home / "pipe.png")
    paths = ["own.png", str(elsewhere), "link.png", "pipe.png", "../secret.png", "/dev/zero"]
    columns = {"image": [{"bytes": None, "path": p} for p in paths], "text": COLOURS}
    features = datasets.Features(
        {
            "image": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
            "text": datasets.Value("string"),
        }
    )
    config = write(home / "a.parquet", columns, features)
    return config.model_copy(update={"max_bad_fraction": 1.0})


def test_paths_in_rows_stay_in_the_folder(rows_with_paths):
    data = open_data(rows_with_paths, "all")
    assert data.read(range(6))[0] == [0] * 6
    outside = "file outside the folder"
    reasons = {1: outside, 2: outside, 3: "not a regular file", 4: outside, 5: outside}
    assert data.bad == reasons


def test_pictures_that_rows_name_are_among_its_files(rows_with_paths):
    home = Path(rows_with_paths.source).parent
    data = open_data(rows_with_paths, "all")
    assert data.files == [home / "a.parquet", home / "own.png", home / "pipe.png"]


def test_files_are_those_of_the_split(tmp_path):
    """Rows with bytes name none, whatever their path says."""
    (tmp_path / "b.png").write_bytes(png("lime"))
    rows = [{"bytes": png("red"), "path": "a.png"}, {"bytes": None, "path": "b.png"}] * 3
    columns = {"image": rows, "text": COLOURS, "split": [*["val"] * 3, *["train"] * 2, "test"]}
    config = write(tmp_path / "a.parquet", columns)
    assert open_data(config, "train").files == [tmp_path / "a.parquet", tmp_path / "b.png"]
    columns["split"] = ["val", "test"] * 3
    config = write(tmp_path / "c.parquet", columns)
    assert open_data(config, "val").files == [tmp_path / "c.parquet"]


def test_paths_in_rows_may_leave_the_folder_where_asked(rows_with_paths):
    data = open_data(rows_with_paths.model_copy(update={"outside_files": True}), "all")
    assert data.image(1)[:, 0, 0].tolist() == [0, 0, 255]
    assert data.read([3, 5])[0] == [4, 0]
    assert set(data.bad.values()) == {"not a regular file"}


def test_parquet_files_are_accounted_for(tmp_path):
    for name in ("train-0", "train-1", "test-0"):
        config = write(tmp_path / f"{name}.parquet", {"image": [png("red")], "text": ["red"]})
    config = config.model_copy(update={"source": f"{tmp_path}/*.parquet"})
    used = open_data(config, "all").survey.used
    assert used == {"parquet (train)": 2, "parquet (test)": 1}


def test_resized_pixels_of_parquet_are_cached_until_the_file_changes(tmp_path):
    columns = {"image": list(map(png, COLOURS)), "text": COLOURS}
    config = write(tmp_path / "a.parquet", columns)
    config = config.model_copy(update={"cache_dir": str(tmp_path / "cache")})
    data = open_data(config, "all")
    folder = data.cache_pixels()
    assert data.image(2)[:, 0, 0].tolist() == [0, 0, 255]
    assert open_data(config, "all").cache_pixels() == folder
    write(tmp_path / "a.parquet", {**columns, "image": list(map(png, reversed(COLOURS)))})
    changed = open_data(config, "all")
    assert changed.cache_pixels() != folder
    assert changed.image(5)[:, 0, 0].tolist() == [255, 0, 0]


def test_labels_by_the_names_that_the_data_know(tmp_path):
    columns = {"image": list(map(png, COLOURS)), "label": [1, 0, 1, 1, 0, 0]}
    kinds = {"image": datasets.Value("binary"), "label": datasets.ClassLabel(names=["no", "yes"])}
    config = write(tmp_path / "a.parquet", columns, datasets.Features(kinds))
    config = config.model_copy(update={"need_captions": False, "label_column": "label"})
    data = open_data(config, "all")
    assert data.labels == ["yes", "no", "yes", "yes", "no", "no"]
    assert data.captions == [[""]] * 6
    assert data.image(0)[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("value", [None, 0.5])
def test_a_row_without_label(tmp_path, value):
    columns = {"image": [png("red")], "text": ["red"], "label": [value]}
    config = write(tmp_path / "a.parquet", columns).model_copy(update={"label_column": "label"})
    with pytest.raises(DataError, match=rf"row 0: 'label' must hold the name.* not {value}"):
        open_data(config, "all")
