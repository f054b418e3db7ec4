"""Starting from a picture: the mask says exactly what changes; undo, invert, save, upload."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.helpers.browser import Visit
from textdiff.pipeline.origin import origin_in

pytestmark = pytest.mark.slow

SIDE = 16  # of the model's pictures


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def start_from_newest(page: Visit) -> bytes:
    """A picture is drawn and started from; its bytes."""
    page.draw("red circle", num_steps=4, num_images=1)
    (first,) = page.drawn()
    page.window.locator("#gallery button.picture").first.click()
    page.says("one", "Download PNG")
    page.window.click("#start")
    page.says("beginning-said", "Started from this picture")
    return first


def paint(page: Visit, *points: tuple[float, float]) -> None:
    """A stroke through these places, in shares of the canvas."""
    canvas = page.window.locator("#painter canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.window.mouse.move(*at[0])
    page.window.mouse.down()
    for place in at[1:]:
        page.window.mouse.move(*place, steps=8)
    page.window.mouse.up()


def told(page: Visit) -> str:
    return page.window.inner_text("#painter [data-told]")


def saved_mask(page: Visit, folder) -> np.ndarray:
    """(H, W) bool, True where white."""
    with page.window.expect_download() as download:
        page.window.click("#painter [data-do=save]")
    download.value.save_as(folder / "mask.png")
    return np.asarray(Image.open(folder / "mask.png").convert("L")) > 127


def test_only_what_is_painted_changes(page, tmp_path):
    first = start_from_newest(page)
    paint(page, (0.2, 0.2), (0.8, 0.25))
    mask = saved_mask(page, tmp_path)
    assert mask.shape == (SIDE, SIDE) and 0 < mask.sum() < mask.size / 2
    (second,) = page.draw("blue square")
    changed = (pixels(first) != pixels(second)).any(axis=-1)
    assert not changed[~mask].any()
    assert changed[mask].mean() > 0.5
    assert origin_in(second, "picture").pictures.keys() == {"init_image", "mask"}


def test_undo_invert_clear_and_erase(page, tmp_path):
    start_from_newest(page)
    assert "the whole picture is drawn anew" in told(page)
    paint(page, (0.3, 0.3))
    one = saved_mask(page, tmp_path)
    paint(page, (0.7, 0.7))
    two = saved_mask(page, tmp_path)
    assert two.sum() > one.sum() and two[one].all()
    page.window.click("#painter [data-do=invert]")
    assert np.array_equal(saved_mask(page, tmp_path), ~two)
    page.window.click("#painter [data-do=undo]")
    page.window.click("#painter [data-do=undo]")
    assert np.array_equal(saved_mask(page, tmp_path), one)
    page.window.check("#painter [data-tool=erase]")
    paint(page, (0.3, 0.3))
    assert not saved_mask(page, tmp_path).any()
    page.window.uncheck("#painter [data-tool=erase]")
    paint(page, (0.5, 0.5))
    page.window.click("#painter [data-do=clear]")
    assert "Nothing is painted" in told(page)


def test_without_a_mouse(page, tmp_path):
    start_from_newest(page)
    canvas = page.window.locator("#painter canvas")
    canvas.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Space"):
        canvas.press(key)
    mask = saved_mask(page, tmp_path)
    rows, columns = np.nonzero(mask)
    assert columns.mean() > rows.mean() > SIDE / 2 - 1


def test_a_saved_mask_can_be_uploaded_again(page, tmp_path):
    start_from_newest(page)
    paint(page, (0.2, 0.8), (0.6, 0.8))
    mask = saved_mask(page, tmp_path)
    page.window.click("#painter [data-do=clear]")
    page.window.locator("#mask-file input").set_input_files(tmp_path / "mask.png")
    page.says("beginning-said", "The mask is on the picture")
    assert np.array_equal(saved_mask(page, tmp_path), mask)


def test_a_mask_of_another_size_is_refused(page, tmp_path):
    start_from_newest(page)
    Image.new("L", (9, 11)).save(tmp_path / "small.png")
    page.window.locator("#mask-file input").set_input_files(tmp_path / "small.png")
    assert "the mask is 9x11, the picture 16x16" in page.says("beginning-said", "same size")


def test_an_uploaded_picture_and_how_much_of_it_goes(page, tmp_path):
    Image.new("RGB", (40, 40), (250, 20, 20)).save(tmp_path / "red.png")
    page.open("begin")
    page.window.locator("#init-file input[type=file]").set_input_files(tmp_path / "red.png")
    page.says("beginning-said", "(40 x 40)")
    page.fill("strength", "0.02")
    (near,) = page.draw("blue square", num_steps=4, num_images=1)
    assert np.abs(pixels(near).astype(int) - (250, 20, 20)).mean() < 40
    assert origin_in(near, "picture").config.strength == 0.02
    page.fill("strength", "2")
    page.press_draw()
    assert "strength" in page.says("said", "strength")
    page.window.click("#from-noise")
    page.says("beginning-said", "Choose a picture here")
    (free,) = page.draw("blue square")
    assert not origin_in(free, "picture").pictures


def test_what_is_no_picture_is_refused(page, tmp_path):
    (tmp_path / "no.png").write_bytes(b"not a picture")
    page.open("begin")
    page.window.locator("#init-file input[type=file]").set_input_files(tmp_path / "no.png")
    assert "the upload cannot be used" in page.says("init-file", "not an image")
    assert "400" in page.faults.pop()  # as the API should
