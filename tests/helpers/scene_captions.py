"""Reads a caption of a scene back into what it says, by rules of its own.

"two red cars left of a blue pig on a green background"
    -> groups (car, red, 2), (pig, blue, 1); relation "left of"; background green
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.facts import CONVERSE, Group, Relation, Scene
from textdiff.data.scenes.objects import KINDS

COLOUR = rf"(?P<colour>{'|'.join(COLOURS)})"
NUMBERS = {"two": 2, "three": 3}
SINGULARS = {
    "mice": "mouse",
    "geese": "goose",
    "teeth": "tooth",
    "oxen": "ox",
    "dice": "die",
    "snowmen": "snowman",
}
PHRASES = [
    re.compile(rf"(?:(?P<number>a|an|two|three) )?{COLOUR} (?P<noun>.+)"),
    re.compile(rf"(?P<number>a|an|two|three) (?P<noun>.+) that (?P<verb>is|are) {COLOUR}"),
]


@dataclass(frozen=True)
class Said:
    """What a caption says; groups in an order of their own where their relation is turned round."""

    groups: tuple[Group, ...]
    relation: Relation | None
    background: str | None


def said_of(scene: Scene, says_background: bool) -> Said:
    return _turned(
        Said(scene.groups, scene.relation, scene.background if says_background else None)
    )


def parse(caption: str) -> Said:
    """Raises ValueError for what is no caption of a scene."""
    background = None
    if match := re.fullmatch(rf"(.+) on (an?) {COLOUR} background", caption):
        caption, article, background = match.groups()
        _check_article(article, background)
    caption = caption.removeprefix("a picture of ")
    match = re.fullmatch(r"(.+?)(?: (is|are))? (left of|right of|above|below) (.+)", caption)
    if match is None:
        return Said((_group(caption),), None, background)
    first, verb, relation, second = match.groups()
    groups = _group(first), _group(second)
    if verb and verb != ("is" if groups[0].count == 1 else "are"):
        raise ValueError(f"'{verb}' of {groups[0].count}: {caption}")
    return _turned(Said(groups, relation, background))


def _turned(said: Said) -> Said:
    if said.relation in ("right of", "below"):
        return Said(said.groups[::-1], CONVERSE[said.relation], said.background)
    return said


def _group(phrase: str) -> Group:
    matches = [match for pattern in PHRASES if (match := pattern.fullmatch(phrase))]
    if len(matches) != 1:
        raise ValueError(f"{len(matches)} readings of '{phrase}'")
    found = matches[0].groupdict()
    count = NUMBERS.get(found["number"] or "a", 1)
    if count == 1 and found["number"]:
        _check_article(found["number"], phrase.split()[1])
    if found.get("verb", "is" if count == 1 else "are") != ("is" if count == 1 else "are"):
        raise ValueError(f"'{found['verb']}' of {count}: {phrase}")
    noun = found["noun"]
    return Group(_known(noun) if count == 1 else _singular(noun), found["colour"], count)


def _check_article(article: str, word: str) -> None:
    sounds_as_vowel = word[0] in "aeiou" and word not in ("unicorn", "ewe", "unicorns")
    if article != ("an" if sounds_as_vowel else "a"):
        raise ValueError(f"'{article} {word}'")


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"no object '{kind}'")
    return kind


def _singular(noun: str) -> str:
    *before, last = noun.split()
    endings = [
        (r"$", ""),
        (r"s$", ""),
        (r"es$", ""),
        (r"ies$", "y"),
        (r"ves$", "f"),
    ]
    words = [SINGULARS.get(last, "")] + [re.sub(a, b, last) for a, b in endings]
    found = {" ".join([*before, word]) for word in words} & set(KINDS)
    if len(found) != 1:
        raise ValueError(f"'{noun}' is the plural of {found or 'nothing'}")
    return found.pop()
