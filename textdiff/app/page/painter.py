"""A picture to start from, and a mask that is painted over it.

    picture ──► Canvas.of ──► {picture, width, height, mask} ◄── painter.js paints the mask
                                                       mask ── mask_in ──► a picture of its size

White is drawn anew. The canvas is at most SIDE pixels a side, more than any mask needs here; a mask
of a larger picture is enlarged pixel by pixel.
"""

from __future__ import annotations

import base64
import binascii
import io
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from textdiff.app.settings import Limits
from textdiff.app.uploads import picture_of
from textdiff.errors import UsageError

SIDE = 512
PNG = "data:image/png;base64,"
TEMPLATE = """
<div class="painter empty">
  <div class="stage">
    <img alt="the picture to start from" src="data:,">
    <canvas tabindex="0" role="img" aria-label="Mask: what is painted is drawn anew.
      Arrow keys move the brush, the space bar paints."></canvas>
    <span data-cursor></span>
  </div>
  <div class="tools">
    <label>Brush <input type="range" data-tool="brush" min="1" max="60" value="16"></label>
    <label><input type="checkbox" data-tool="erase"> Erase</label>
    <button type="button" data-do="undo">Undo</button>
    <button type="button" data-do="invert">Invert</button>
    <button type="button" data-do="clear">Clear</button>
    <button type="button" data-do="save">Save mask</button>
  </div>
  <p class="notice quiet" role="status" data-told></p>
</div>
"""
EMPTY: dict[str, Any] = {"picture": "", "width": 1, "height": 1, "mask": ""}


def painter() -> gr.HTML:
    """The component. Its value is a canvas, see `canvas_of`."""
    script = files(__package__).joinpath("painter.js").read_text("utf-8")
    return gr.HTML(
        EMPTY,  # any JSON is a value
        html_template=TEMPLATE,
        js_on_load=script,
        apply_default_css=False,
        elem_id="painter",
    )


def canvas_of(picture: Image.Image, mask: Image.Image | None = None) -> dict[str, Any]:
    """What to paint on. mask: of the same size as the picture."""
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    painted = "" if mask is None else data_png(mask.resize(small.size, Image.Resampling.NEAREST))
    width, height = small.size
    return {"picture": data_png(small), "width": width, "height": height, "mask": painted}


def uploaded_mask(path: Path, size: tuple[int, int]) -> Image.Image:
    """A mask from an upload, white on black, as `textdiff sample --mask` reads it.

    Raises:
        UsageError: one of another size.
    """
    from textdiff.data.picture_files import read_mask
    from textdiff.pipeline.init import painted_pixels

    mask = read_mask("the mask", path)
    if mask.size != size:
        theirs, ours = ("{}x{}".format(*each) for each in (mask.size, size))
        raise UsageError(
            f"the mask is {theirs}, the picture {ours}; give a mask of the same size, or paint one"
        )
    return Image.fromarray(painted_pixels(mask)).convert("RGB")


def mask_in(canvas: Any, size: tuple[int, int], limits: Limits) -> Image.Image | None:
    """The mask on a canvas that a browser sent, at the size of the picture; None: nothing painted.

    Raises:
        UsageError: what is no canvas. BadImage: no picture within the limits.
    """
    from textdiff.pipeline.init import painted_pixels

    painted = canvas.get("mask") if isinstance(canvas, dict) else None
    if not isinstance(painted, str) or (painted and not painted.startswith(PNG)):
        raise UsageError("the mask cannot be read; clear it and paint it again")
    if not painted:
        return None
    try:
        data = base64.b64decode(painted[len(PNG) :], validate=True)
    except binascii.Error:
        raise UsageError("the mask is damaged; clear it and paint it again") from None
    mask = picture_of(data, limits)
    white = Image.fromarray(painted_pixels(mask)).convert("RGB")
    return white.resize(size, Image.Resampling.NEAREST)


def data_png(picture: Image.Image) -> str:
    """As data: URI."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    return PNG + base64.b64encode(content.getvalue()).decode()
