"""The validation split that a run is judged by."""

from PIL import Image

from textdiff.data import DataConfig, cost
from textdiff.training.held_out import open_held_out


def test_none_where_nothing_is_held_out(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("black")
    assert open_held_out(DataConfig(source=str(tmp_path))) is None


def test_pictures_that_are_slow_to_read_are_kept_resized(shapes, tmp_path, monkeypatch):
    config = DataConfig(source=str(shapes), cache_dir=str(tmp_path / "cache"))
    assert not open_held_out(config).is_cached
    monkeypatch.setattr(cost, "seconds_per_image", lambda _: 1.0)
    assert open_held_out(config).is_cached
