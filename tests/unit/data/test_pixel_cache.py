"""The cache of resized pixels: same pixels, decoded once, stopped and continued, never stale."""

import contextlib
import errno
import os
import pickle

import pytest
import torch
from PIL import Image

from tests.helpers.damage import DAMAGE
from textdiff.data import DataConfig, batches, open_data
from textdiff.data import folder as folder_source
from textdiff.data.row_file import mapped
from textdiff.errors import DataError

COUNT = 6


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(COUNT):
        Image.linear_gradient("L").rotate(i * 20).save(folder / f"{i}.jpg")
        (folder / f"{i}.txt").write_text(f"number {i}")
    return folder


@pytest.fixture
def config(pictures, tmp_path):
    return DataConfig(source=str(pictures), image_size=8, cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def decoded(monkeypatch):
    """Names of the pictures decoded so far."""
    names = []
    own = folder_source.decode_image

    def decode(path, config):
        names.append(path.name)
        return own(path, config)

    monkeypatch.setattr(folder_source, "decode_image", decode)
    return names


def test_the_same_pixels_decoded_once(config, decoded):
    plain, cached = open_data(config, "all"), open_data(config, "all")
    expected = plain.images(range(COUNT))
    decoded.clear()
    cached.cache_pixels()
    assert sorted(decoded) == sorted(plain.identifiers)
    assert torch.equal(cached.images(range(COUNT)), expected)
    again = open_data(config, "all")
    again.cache_pixels()
    assert torch.equal(again.images(range(COUNT)), expected)
    assert len(decoded) == COUNT


def test_a_split_fills_its_own_rows(config, decoded):
    train = open_data(config, "train")
    train.cache_pixels()
    assert len(decoded) == len(train) < COUNT
    open_data(config, "all").cache_pixels()
    assert len(decoded) == COUNT


def test_a_fill_that_was_stopped_goes_on(config, decoded, monkeypatch):
    monkeypatch.setattr("textdiff.data.row_cache.CHUNK", 2)
    own = folder_source.decode_image

    def stopped(path, settings):
        if path.name == "4.jpg":
            raise KeyboardInterrupt
        return own(path, settings)

    with monkeypatch.context() as patch:
        patch.setattr(folder_source, "decode_image", stopped)
        with pytest.raises(KeyboardInterrupt):
            open_data(config, "all").cache_pixels()
    decoded.clear()
    open_data(config, "all").cache_pixels()
    assert sorted(decoded) == ["4.jpg", "5.jpg"]


def test_a_picture_that_changed_is_decoded_again(config, pictures):
    before = open_data(config, "all").cache_pixels()
    Image.new("RGB", (50, 50), "red").save(pictures / "0.jpg", quality=100)
    os.utime(pictures / "0.jpg", (1, 1))
    after = open_data(config, "all")
    assert before != after.cache_pixels()
    assert after.image(0)[0].min() > 240


@pytest.mark.parametrize("change", [{"image_size": 9}, {"resize": "pad"}, {"min_side": 9}])
def test_settings_that_decide_the_pixels_have_their_own_cache(config, change):
    folder = open_data(config, "all").cache_pixels()
    assert open_data(config.model_copy(update=change), "all").cache_pixels() != folder


def test_unreadable_pictures_are_met_before_training(config, pictures):
    (pictures / "2.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match="max_bad_fraction"):
        open_data(config, "all").cache_pixels()
    data = open_data(config.model_copy(update={"max_bad_fraction": 0.5}), "all")
    data.cache_pixels()
    assert list(data.bad) == [2]
    assert data.read([2])[0] == [3]


def test_workers_get_the_name_of_the_cache_not_its_pixels(config):
    data = open_data(config.model_copy(update={"image_size": 256}), "all")
    data.cache_pixels()
    copy = pickle.loads(pickle.dumps(data))
    assert len(pickle.dumps(data)) < 20_000
    assert torch.equal(copy.image(3), data.image(3))


def test_batches_are_the_same(config):
    cached = open_data(config, "all")
    cached.cache_pixels()
    steps = [batches(data, seed=0, batch_size=4) for data in (cached, open_data(config, "all"))]
    (first,), (second,) = (next(step) for step in steps)
    assert torch.equal(first.image, second.image) and first.captions == second.captions


@pytest.mark.parametrize("name", ["images.npy", "sums.npy", "done.npy"])
def test_a_row_that_is_damaged_is_decoded_again(config, decoded, caplog, name):
    plain = open_data(config, "all")
    expected = plain.images(range(COUNT))
    file = open_data(config, "all").cache_pixels() / name
    DAMAGE["last bit flipped"](file)
    decoded.clear()
    data = open_data(config, "all")
    data.cache_pixels()
    for _ in range(2):
        assert torch.equal(data.images(range(COUNT)), expected)
    assert set(decoded) == {plain.identifiers[-1]}
    assert ("row 5" in caplog.text) == (name != "done.npy")
    assert caplog.text.count("decoded again") <= 1


@pytest.mark.parametrize("name", ["images.npy", "sums.npy", "done.npy"])
@pytest.mark.parametrize("damage", ["truncated", "emptied", "deleted"])
def test_a_file_that_is_damaged_is_named(config, name, damage):
    folder = open_data(config, "all").cache_pixels()
    mapped.cache_clear()
    DAMAGE[damage](folder / name)
    with pytest.raises(DataError, match=r"is damaged|cannot be used"):
        open_data(config, "all").cache_pixels()


@pytest.mark.parametrize("name", ["images.npy", "sums.npy", "done.npy"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_no_damage_gives_another_picture(config, name, damage):
    expected = open_data(config, "all").images(range(COUNT))
    folder = open_data(config, "all").cache_pixels()
    mapped.cache_clear()
    DAMAGE[damage](folder / name)
    data = open_data(config, "all")
    with contextlib.suppress(DataError):  # where the file is useless as a whole, see above
        data.cache_pixels()
    assert torch.equal(data.images(range(COUNT)), expected)


def test_a_full_disk_is_said(config, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("textdiff.data.row_file.write_rows", full)
    with pytest.raises(DataError, match=r"cannot be used: .*No space left.*data\.cache"):
        open_data(config, "all").cache_pixels()


def test_a_folder_that_cannot_be_used(config, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"cache folder .* cannot be used.*data\.cache"):
        open_data(config, "all").cache_pixels()
