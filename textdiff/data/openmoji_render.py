"""An OpenMoji SVG file as pixels: the colour picture, or its line drawing in black and white.

    colour   SVG on white -> resvg at 4x -> box filter
    lines    SVG's line layers on white -> the same -> black where enough of a pixel is covered

The line drawing is the uncoloured emoji: strokes 2 units wide in a picture of 72, or
w = 2 size / 72 pixels. How much is enough depends on w. A stroke between two rows of pixels covers
w / 2 of each, so that the limit lies below w / 2, or lines would break; for strokes wider than a
pixel it is 1/2.
"""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from textdiff.data.config import Style

OVERSAMPLING = 4
LINE_LAYERS = ("line", "line-supplement")
STROKE, VIEW_BOX = 2, 72
SVG = "http://www.w3.org/2000/svg"
ElementTree.register_namespace("", SVG)


def line_layers(svg: Path) -> str | None:
    """The SVG text without its colour, skin and hair layers; None if no line is left."""
    root = ElementTree.parse(svg).getroot()
    for layer in list(root):
        if layer.get("id") not in LINE_LAYERS:
            root.remove(layer)
    drawn = any(element.tag != f"{{{SVG}}}g" for layer in root for element in layer.iter())
    return ElementTree.tostring(root, encoding="unicode") if drawn else None


def render(svg: Path, size: int, style: Style = "colour") -> NDArray[np.uint8]:
    """An SVG file on white as (3, size, size) uint8; lines: 0 or 255, the same in each channel."""
    import resvg_py

    text = svg.read_text("utf-8") if style == "colour" else line_layers(svg)
    side = size * OVERSAMPLING
    png = resvg_py.svg_to_bytes(
        svg_string=text, width=side, height=side, background="#ffffff", skip_system_fonts=True
    )
    large = Image.open(io.BytesIO(bytes(png))).convert("RGB")
    pixels = np.asarray(large.resize((size, size), Image.Resampling.BOX)).transpose(2, 0, 1)
    if style == "colour":
        return pixels
    covered = 1 - pixels.mean(0) / 255
    return np.where(covered >= black_from(size), 0, 255).astype(np.uint8)[None].repeat(3, 0)


def black_from(size: int) -> float:
    """Share of a pixel that lines must cover to make it black, for pictures of this side."""
    return min(0.5, 0.45 * STROKE * size / VIEW_BOX)
