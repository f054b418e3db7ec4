"""The 11 basic colour terms (Berlin and Kay 1969): each a hue, a saturation, a band of lightness.

A drawing of one colour keeps its shades: they become lightnesses of the term's band. Bands and hues
leave gaps between the terms, so that every shade of one is nearer to its own term than to another.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Colour:
    """In HSL. hue: degrees. saturation, lightness: in [0, 1]. darkest, lightest: ends of the band
    that holds `lightness`, which is that of the term's plain colour."""

    hue: float
    saturation: float
    darkest: float
    lightness: float
    lightest: float

    def rgb(self, lightness: float | None = None) -> Rgb:
        """0 to 255; of the plain colour, or of a shade."""
        value = self.lightness if lightness is None else lightness
        red, green, blue = colorsys.hls_to_rgb(self.hue / 360, value, self.saturation)
        return round(255 * red), round(255 * green), round(255 * blue)


COLOURS: dict[str, Colour] = {
    "black": Colour(0, 0.00, 0.08, 0.16, 0.26),
    "white": Colour(0, 0.00, 0.90, 0.98, 1.00),
    "grey": Colour(0, 0.00, 0.46, 0.58, 0.70),
    "red": Colour(358, 0.80, 0.38, 0.48, 0.58),
    "green": Colour(125, 0.55, 0.28, 0.40, 0.52),
    "yellow": Colour(52, 0.95, 0.46, 0.56, 0.72),
    "blue": Colour(218, 0.78, 0.36, 0.50, 0.62),
    "brown": Colour(24, 0.50, 0.19, 0.29, 0.37),
    "orange": Colour(28, 0.96, 0.44, 0.53, 0.62),
    "pink": Colour(335, 0.85, 0.68, 0.77, 0.85),
    "purple": Colour(280, 0.55, 0.34, 0.46, 0.58),
}


def luminance(rgb: tuple[float, float, float]) -> float:
    """In the units of `rgb`: Rec. 709 weights on stored values, which order shades as eyes do."""
    red, green, blue = rgb
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
