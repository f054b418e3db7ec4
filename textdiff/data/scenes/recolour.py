"""A drawing of OpenMoji in one colour: its fills change, its outlines stay.

    luminance y of a fill, m = mean over the filled area, [a, b] = range over the drawing's fills
    y in [a, m] -> [darkest, lightness],   y in [m, b] -> [lightness, lightest]    of the colour

Both pieces are linear and shrink, never stretch: shades that differ little still do. So the order
of the shades stays, and the mean shade becomes the colour's plain one.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from textdiff.data.openmoji_render import LINE_LAYERS, SVG, VIEW_BOX
from textdiff.data.scenes.colours import Colour, Rgb, luminance

ElementTree.register_namespace("", SVG)
ATTRIBUTES = ("fill", "stroke")
MEASURED = 2 * VIEW_BOX  # pixels of a side at which a drawing is measured


@dataclass(frozen=True)
class Drawing:
    """box: left, top and side, in units of the view box, of the smallest square around it. mean:
    luminance over the filled area. silhouette: (MEASURED, MEASURED) opacity in [0, 1]."""

    svg: str
    box: tuple[float, float, float]
    mean: float
    silhouette: NDArray[np.float32]


def measure(svg: str) -> Drawing:
    """Raises ValueError for a drawing without fills."""
    fills = rasterise(layers(svg, lines=False), MEASURED)
    if not fills[3].any():
        raise ValueError("a drawing without fills")
    opacity = rasterise(svg, MEASURED)[3]
    rows, columns = (np.flatnonzero(opacity.max(axis)) for axis in (1, 0))
    scale = VIEW_BOX / MEASURED
    top, bottom = float(rows[0]) * scale, float(rows[-1] + 1) * scale
    left, right = float(columns[0]) * scale, float(columns[-1] + 1) * scale
    side = max(right - left, bottom - top)
    box = (left + right - side) / 2, (top + bottom - side) / 2, side
    red, green, blue, area = (float(plane.sum()) for plane in fills)
    return Drawing(svg, box, luminance((red, green, blue)) / area, opacity)


def recoloured(drawing: Drawing, colour: Colour) -> str:
    """SVG text whose view box is the drawing's own square."""
    plain = repaints(drawing, colour)
    return painted(drawing, {paint: "#{:02x}{:02x}{:02x}".format(*plain[paint]) for paint in plain})


def repaints(drawing: Drawing, colour: Colour) -> dict[str, Rgb]:
    """What each paint of the drawing becomes."""
    levels = {paint: _luminance(paint) for paint in paints(drawing)}
    shade = shades(list(levels.values()), drawing.mean, colour)
    return {paint: colour.rgb(shade(level)) for paint, level in levels.items()}


def paints(drawing: Drawing) -> tuple[str, ...]:
    """The distinct values of its fills and of strokes that are no outlines."""
    root = ElementTree.fromstring(drawing.svg)
    return tuple(dict.fromkeys(element.get(name, "") for element, name in _painted(root)))


def painted(drawing: Drawing, new: Mapping[str, str]) -> str:
    """SVG text with `new` paints in place of the drawing's, in a view box of its own square."""
    root = ElementTree.fromstring(drawing.svg)
    for element, name in list(_painted(root)):
        element.set(name, new[element.get(name, "")])
    left, top, side = drawing.box
    root.set("viewBox", f"{left:g} {top:g} {side:g} {side:g}")
    return ElementTree.tostring(root, encoding="unicode")


def shades(fills: list[float], mean: float, colour: Colour) -> Callable[[float], float]:
    """The map from a fill's luminance to a lightness of `colour`."""
    below, above = mean - min(fills), max(fills) - mean
    down = min(1.0, (colour.lightness - colour.darkest) / below) if below > 0 else 0.0
    up = min(1.0, (colour.lightest - colour.lightness) / above) if above > 0 else 0.0

    def shade(value: float) -> float:
        return colour.lightness + (value - mean) * (down if value < mean else up)

    return shade


def rasterise(svg: str, side: int) -> NDArray[np.float32]:
    """(4, side, side), premultiplied RGBA in [0, 1]."""
    import resvg_py

    # A view box of a broken size would be rounded to whole units, were the size not stated.
    sized = svg.replace("<svg ", f'<svg width="{side}" height="{side}" ', 1)
    png = resvg_py.svg_to_bytes(svg_string=sized, skip_system_fonts=True)
    picture = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    rgba = np.asarray(picture, np.float32).transpose(2, 0, 1) / np.float32(255)
    rgba[:3] *= rgba[3]
    return rgba


def layers(svg: str, lines: bool) -> str:
    """The SVG text of its line layers alone, or of the others."""
    root = ElementTree.fromstring(svg)
    for layer in list(root):
        if (layer.get("id") in LINE_LAYERS) != lines:
            root.remove(layer)
    return ElementTree.tostring(root, encoding="unicode")


def _painted(root: ElementTree.Element) -> Iterator[tuple[ElementTree.Element, str]]:
    """(element, attribute) of every paint in the layers that are no lines."""
    for layer in root:
        if layer.get("id") in LINE_LAYERS:
            continue
        layer.attrib.setdefault("fill", "#000000")  # SVG's own default
        for element in layer.iter():
            for name in ATTRIBUTES:
                if element.get(name, "none") != "none":
                    yield element, name


def _luminance(paint: str) -> float:
    """Of a paint such as "#ea5a47" or "#fff", in [0, 1]."""
    digits = paint.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    red, green, blue = bytes.fromhex(digits)
    return luminance((red, green, blue)) / 255
