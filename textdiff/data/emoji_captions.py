"""Further captions of emoji, for training beside their names.

    Unicode CLDR: code points -> keywords         emoji_keywords.tsv
    PyPI emoji:   code points -> aliases

    aliases                                       "beer"
    the name and a keyword that it lacks          "beer mug, pint"
    three keywords, next to each other in an      "stein, ale, drink"
    order that is the emoji's own

The keywords are those of npm's cldr-annotations-full and cldr-annotations-derived-full 48.2.0
(annotations/en and annotationsDerived/en, key "default"), of the emoji that PyPI emoji 2.16 names,
without those with a skin tone: these take what is said of their base. Licence: Unicode-3.0, in
emoji_keywords.LICENSE.txt.
"""

from __future__ import annotations

import functools
from pathlib import Path

from textdiff.randomness import seed_of

KEYWORDS = Path(__file__).with_name("emoji_keywords.tsv")
SKIN_TONES = frozenset(range(0x1F3FB, 0x1F400))
LISTED = 3  # keywords of a caption that is a list of them


@functools.cache
def keywords() -> dict[tuple[int, ...], tuple[str, ...]]:
    """Keywords by code points, U+FE0F and skin tones left out."""
    lines = KEYWORDS.read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {
        tuple(int(point, 16) for point in points.split("-")): tuple(
            word.replace("’", "'") for word in words.split("|")
        )
        for points, words in rows
    }


@functools.cache
def aliases() -> dict[tuple[int, ...], tuple[str, ...]]:
    """Other names by code points, U+FE0F left out: ":hash:" -> "hash"."""
    from emoji import EMOJI_DATA

    found: dict[tuple[int, ...], set[str]] = {}
    for spelling, record in EMOJI_DATA.items():
        key = tuple(ord(char) for char in spelling if ord(char) != 0xFE0F)
        names = (name.strip(":").replace("_", " ") for name in record.get("alias", ()))
        found.setdefault(key, set()).update(names)
    return {key: tuple(sorted(names)) for key, names in found.items()}


def caption_variants(name: str, code_points: tuple[int, ...]) -> tuple[str, ...]:
    """Captions other than `name`, all of them about this emoji alone; few have none."""
    toneless = tuple(point for point in code_points if point not in SKIN_TONES)
    words = keywords().get(toneless, ())
    order = sorted(words, key=lambda word: seed_of("keyword", *code_points, word))
    new = [word for word in order if word.lower() not in name.lower()]
    texts = [*aliases().get(code_points, ()), *(f"{name}, {word}" for word in new), *_lists(order)]
    return tuple(dict.fromkeys(text for text in texts if text.lower() != name.lower()))


def _lists(words: list[str]) -> list[str]:
    """Each run of LISTED neighbours, the last beside the first; one word alone tells too little."""
    if len(words) <= LISTED:
        return [", ".join(words)] if len(words) > 1 else []
    ring = words + words[: LISTED - 1]
    return [", ".join(ring[i : i + LISTED]) for i in range(len(words))]
