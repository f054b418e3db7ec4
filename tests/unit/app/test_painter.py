"""Masks on the way between a canvas in the browser and a drawing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from textdiff.app.page.painter import EMPTY, PNG, SIDE, canvas_of, data_png, mask_in, uploaded_mask
from textdiff.app.settings import Limits
from textdiff.data.decode import BadImage
from textdiff.errors import UsageError

LIMITS = Limits()


def white(mask: Image.Image | None) -> np.ndarray:
    assert mask is not None
    return np.asarray(mask.convert("L")) > 127


@given(arrays.arrays(bool, st.tuples(st.integers(8, 16), st.integers(8, 16))).filter(np.any))
def test_a_mask_comes_back_as_it_was(painted):
    mask, picture = Image.fromarray(painted), Image.new("RGB", painted.shape[::-1])
    canvas = canvas_of(picture, mask.convert("RGB"))
    assert (canvas["width"], canvas["height"]) == picture.size
    assert np.array_equal(white(mask_in(canvas, picture.size, LIMITS)), painted)


def test_a_mask_of_a_large_picture_is_enlarged_pixel_by_pixel():
    canvas = canvas_of(Image.new("RGB", (2 * SIDE, SIDE)))
    assert (canvas["width"], canvas["height"]) == (SIDE, SIDE // 2)
    small = np.zeros((SIDE // 2, SIDE), bool)
    small[3, 5] = True
    canvas["mask"] = data_png(Image.fromarray(small).convert("RGB"))
    back = white(mask_in(canvas, (2 * SIDE, SIDE), LIMITS))
    assert back.sum() == 4 and back[6:8, 10:12].all()


def test_nothing_painted_is_no_mask():
    assert mask_in(EMPTY, (4, 4), LIMITS) is None
    assert mask_in(canvas_of(Image.new("RGB", (4, 4))), (4, 4), LIMITS) is None


@pytest.mark.parametrize(
    ("canvas", "error"),
    [
        (None, UsageError),
        ("data:image/png;base64,", UsageError),
        ({"mask": {"path": "/etc/passwd"}}, UsageError),
        ({"mask": "/etc/passwd"}, UsageError),
        ({"mask": f"{PNG}%%%"}, UsageError),
        ({"mask": f"{PNG}bm90IGEgcGljdHVyZQ=="}, BadImage),
    ],
)
def test_what_a_browser_never_sends_is_refused(canvas, error):
    with pytest.raises(error):
        mask_in(canvas, (4, 4), LIMITS)


def test_a_transparent_canvas_is_painted_where_it_is_not_transparent(tmp_path):
    strokes = Image.new("RGBA", (9, 8))
    strokes.putpixel((3, 2), (10, 200, 10, 255))
    strokes.save(tmp_path / "mask.png")
    assert white(uploaded_mask(tmp_path / "mask.png", (9, 8))).nonzero() == ([2], [3])


def test_a_mask_of_another_size_is_refused(tmp_path):
    Image.new("L", (9, 8)).save(tmp_path / "mask.png")
    with pytest.raises(UsageError, match="the mask is 9x8, the picture 8x9"):
        uploaded_mask(tmp_path / "mask.png", (8, 9))
