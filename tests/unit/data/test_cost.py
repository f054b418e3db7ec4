"""When pictures are kept resized, how many workers there are, and what a slow loader says."""

import pytest
from PIL import Image

from textdiff.data import DataConfig, cost, open_data
from textdiff.errors import DataError


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(8):
        Image.new("RGB", (20, 20)).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(f"number {i}")
    config = DataConfig(source=str(folder), image_size=8, cache_dir=str(tmp_path / "cache"))
    return lambda **settings: open_data(config.model_copy(update=settings), "all")


@pytest.fixture
def seconds(monkeypatch):
    """Sets the time that a picture takes."""
    return lambda value: monkeypatch.setattr(cost, "seconds_per_image", lambda _: value)


def test_a_cache_that_saves_time(data, seconds):
    seconds(0.3)
    pictures = data()
    assert "resized pictures are read from" in cost.cache_pixels(pictures, reads=1000)
    assert pictures.is_cached


def test_no_cache_where_it_saves_nothing(data, seconds):
    seconds(0.3)
    assert cost.cache_pixels(data(), reads=8) is None  # one epoch
    assert cost.cache_pixels(data(cache="off"), reads=1000) is None
    seconds(1e-4)
    assert cost.cache_pixels(data(), reads=1000) is None
    assert cost.cache_pixels(data(cache="on"), reads=8) is not None


def test_no_room(data, seconds, monkeypatch):
    seconds(0.3)
    monkeypatch.setattr(cost, "free_bytes", lambda _: 1000)
    assert cost.cache_pixels(data(), 1000).startswith("no cache of resized pictures")
    with pytest.raises(DataError, match=r"set data\.cache_dir to a larger disk"):
        cost.cache_pixels(data(cache="on"), 1000)


def test_a_cache_folder_that_cannot_be_used(data, seconds, tmp_path):
    seconds(0.3)
    (tmp_path / "cache").write_text("a file")
    assert "cannot be used" in cost.cache_pixels(data(), 1000)
    with pytest.raises(DataError, match="cannot be used"):
        cost.cache_pixels(data(cache="on"), 1000)


@pytest.mark.parametrize(
    ("per_image", "reads", "cores", "processes", "workers"),
    [
        (0.04, 10**6, 2, 1, 1),
        (0.04, 10**6, 64, 1, 8),
        (0.04, 10**6, 16, 8, 1),
        (0.04, 10**6, 1, 1, 0),
        (0.04, 100, 64, 1, 0),
        (1e-5, 10**8, 64, 1, 0),
    ],
)
def test_workers(data, seconds, monkeypatch, per_image, reads, cores, processes, workers):
    seconds(per_image)
    monkeypatch.setattr(cost, "usable_cores", lambda: cores)
    assert cost.choose_workers(data(), reads, processes) == workers


def test_what_a_slow_loader_says(data, monkeypatch):
    monkeypatch.setattr(cost, "usable_cores", lambda: 4)
    pictures = data()
    expected = "35% of the time goes into waiting for pictures: set --data.cache on (now auto) or "
    assert cost.slow_loading(0.35, pictures, 1) == (
        expected + "raise --train.workers (now 1; there are 4 cores)"
    )
    pictures.cache_pixels()
    assert cost.slow_loading(0.35, pictures, 3).endswith("a faster disk")


def test_time_of_a_picture(data):
    assert 0 < cost.seconds_per_image(data()) < 1
