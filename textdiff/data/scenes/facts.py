"""What is in a scene: its things, their places, their relation, the background.

Lengths are shares of the picture's side, so that a scene is the same at every size. x runs to the
right and y down, from the picture's upper left corner.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from textdiff.data.scenes.colours import COLOURS
from textdiff.errors import DataError

Relation = Literal["left of", "right of", "above", "below"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)
CONVERSE: dict[Relation, Relation] = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}
MOST_THINGS = 3


@dataclass(frozen=True, slots=True)
class Thing:
    """kind: a name in `objects.KINDS`. colour: a name in `colours.COLOURS`. size: side of its
    square box. x, y: centre of the box."""

    kind: str
    colour: str
    size: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Group:
    """Equal things that a caption names together."""

    kind: str
    colour: str
    count: int


@dataclass(frozen=True, slots=True)
class Scene:
    """things: in the order in which the caption names them. relation: of the first group to the
    second, None of a scene with one group."""

    things: tuple[Thing, ...]
    background: str = "white"
    relation: Relation | None = None

    @property
    def groups(self) -> tuple[Group, ...]:
        """Runs of things of one kind and colour."""
        groups: list[Group] = []
        for thing in self.things:
            last = groups[-1] if groups else None
            if last and (last.kind, last.colour) == (thing.kind, thing.colour):
                groups[-1] = Group(last.kind, last.colour, last.count + 1)
            else:
                groups.append(Group(thing.kind, thing.colour, 1))
        return tuple(groups)

    def to_json(self) -> dict[str, Any]:
        return {
            "things": [asdict(thing) for thing in self.things],
            "background": self.background,
            "relation": self.relation,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Scene:
        """Raises DataError for what is no scene, naming the part that is wrong."""
        if not isinstance(value, Mapping) or not isinstance(value.get("things"), list):
            raise DataError(f"facts of a scene: {_short(value)} has no list 'things'")
        things = tuple(_thing(item) for item in value["things"])
        if not 1 <= len(things) <= MOST_THINGS:
            raise DataError(f"facts of a scene: {len(things)} things, 1 to {MOST_THINGS} are right")
        scene = cls(things, _colour(value.get("background")), _relation(value.get("relation")))
        if len(scene.groups) != (2 if scene.relation else 1):
            raise DataError(
                f"facts of a scene: {len(scene.groups)} groups with relation {scene.relation!r}; "
                "two groups have one, a single group has none"
            )
        return scene


def _thing(value: Any) -> Thing:
    names = Thing.__slots__
    if not isinstance(value, Mapping) or set(value) != set(names):
        raise DataError(f"facts of a scene: {_short(value)} is not {{{', '.join(names)}}}")
    if not isinstance(value["kind"], str):
        raise DataError(f"facts of a scene: kind {_short(value['kind'])} is no name")
    for name in ("size", "x", "y"):
        number = value[name]
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 < number <= 1:
            raise DataError(f"facts of a scene: {name} {_short(number)} is not in (0, 1]")
    _colour(value["colour"])
    return Thing(**value)


def _colour(value: Any) -> str:
    if value not in COLOURS:
        raise DataError(f"facts of a scene: colour {_short(value)}; known: {', '.join(COLOURS)}")
    return str(value)


def _relation(value: Any) -> Relation | None:
    if value is not None and value not in RELATIONS:
        raise DataError(
            f"facts of a scene: relation {_short(value)}; known: {', '.join(RELATIONS)}"
        )
    relation: Relation | None = value
    return relation


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
