"""What a class is called in words: templates filled with its name, or the captions of scenes.

{} ── "a photo of a {}." ──► a photo of a apple.     as open_clip fills its templates
colour red, of each object ──► a red book, a red watch, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textdiff.data import CaptionedImages
from textdiff.data.prompts import read_lines
from textdiff.data.scenes.facts import Group
from textdiff.data.scenes.wording import phrase
from textdiff.errors import UsageError
from textdiff.evaluation.zero_shot.settings import TruthKind
from textdiff.evaluation.zero_shot.truth import FACTS, Truth, words_of

PLACE = "{}"
PLAIN = "plain"
BUILT_IN = {PLAIN: ("a photo of a {}.",), "name": (PLACE,)}
OPEN_CLIPS = {"simple": "SIMPLE_IMAGENET_TEMPLATES", "imagenet": "OPENAI_IMAGENET_TEMPLATES"}
SCENES = "wording of scenes"


@dataclass(frozen=True)
class Prompts:
    """source: where the wording is from. templates: each with one {}; None where there are none.
    texts: of each class, as many for each."""

    source: str
    templates: tuple[str, ...] | None
    texts: tuple[tuple[str, ...], ...]


def choose_prompts(source: str | None, truth: Truth, data: CaptionedImages) -> Prompts:
    """Of the truth's classes. source: templates; None: plain ones, or for facts of scenes their
    captions. Raises as `read_templates`."""
    names = truth.classes.names
    if source is None and truth.kind in FACTS:
        other: TruthKind = "object" if truth.kind == "colour" else "colour"
        return scene_prompts(truth.kind, names, words_of(data, other))
    return prompts_of(source or PLAIN, names)


def prompts_of(source: str, names: Sequence[str]) -> Prompts:
    """Templates filled with the names of the classes. Raises as `read_templates`."""
    templates = read_templates(source)
    texts = (tuple(t.replace(PLACE, name) for t in templates) for name in names)
    return Prompts(source, templates, tuple(texts))


def scene_prompts(fact: str, names: Sequence[str], others: Sequence[str]) -> Prompts:
    """Captions of one thing: of each class with each of the others, which its weight averages over.

    Args:
        fact: "colour": the names are colours, the others objects. "object": the other way round.
    """

    def caption(name: str, other: str) -> str:
        kind, colour = (other, name) if fact == "colour" else (name, other)
        return phrase(Group(kind, colour, 1))

    texts = tuple(tuple(caption(name, other) for other in others) for name in names)
    return Prompts(SCENES, None, texts)


def read_templates(source: str) -> tuple[str, ...]:
    """Those of a file, or of a set by its name.

    Raises:
        UsageError: a file that cannot be read, no template, one that is there twice, or one without
            exactly one {}.
    """
    if source in BUILT_IN:
        return BUILT_IN[source]
    if source in OPEN_CLIPS:
        import open_clip

        return tuple(fill(PLACE) for fill in getattr(open_clip, OPEN_CLIPS[source]))
    places: dict[str, int] = {}
    for number, line in enumerate(read_lines("--templates", source), start=1):
        template, where = line.strip(), f"--templates {source}, line {number}"
        if not template:
            continue
        if (count := template.count(PLACE)) != 1:
            raise UsageError(
                f"{where}: '{template}' has {count or 'no'} {{}}; give one, for the class's name"
            )
        if template in places:
            raise UsageError(f"{where}: '{template}' is in line {places[template]} already")
        places[template] = number
    if not places:
        raise UsageError(
            f"--templates {source} has no template; give one as in 'a photo of a {{}}'"
        )
    return tuple(places)
