"""The classes that a picture may show: their names, and how data spell each.

apple                  a name
n07739125<tab>apple    an id, which folders and labels go by, and the name, which prompts say
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from textdiff.data.prompts import read_lines
from textdiff.errors import DataError, UsageError

IMAGENET = "imagenet"


@dataclass(frozen=True)
class Classes:
    """Two or more, in the order that numbers of classes count.

    source: where they are from. names: of each. ids: of each, None where it has none.
    """

    source: str
    names: tuple[str, ...]
    ids: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of ids and names in their order."""
        return hashlib.sha256(json.dumps([self.names, self.ids]).encode()).hexdigest()

    @property
    def name_numbers(self) -> Int[Tensor, " classes"]:
        """Equal for classes of one name, of which open_clip's list of ImageNet has two pairs."""
        number = {name: k for k, name in enumerate(dict.fromkeys(self.names))}
        return torch.tensor([number[name] for name in self.names])

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """By each spelling; ids come before names, these before their lenient spellings."""
        numbers: dict[str, int] = {}
        for spellings in (self.ids, self.names, tuple(map(lenient, self.names))):
            for number, spelling in enumerate(spellings):
                if spelling is not None:
                    numbers.setdefault(spelling, number)
        return numbers

    def named(self, spelling: str) -> int | None:
        """The class of this id or name; None: there is none. In names case does not matter, and _
        is a space."""
        return self._numbers.get(spelling, self._numbers.get(lenient(spelling)))

    def number_of(self, spelling: str) -> int | None:
        """The class of this id or name, or else of this number; None: there is none."""
        found = self.named(spelling)
        if found is not None:
            return found
        is_number = spelling.isascii() and spelling.isdigit()
        return int(spelling) if is_number and int(spelling) < len(self) else None

    def labels(
        self, spellings: Sequence[str], pictures: Sequence[str], numbers: bool = True
    ) -> Int[Tensor, " n"]:
        """The number of each picture's class.

        Args:
            spellings: of the class of each picture. pictures: what they are called.
            numbers: whether a spelling may be the number of a class.

        Raises:
            DataError: one is no class.
        """
        find = self.number_of if numbers else self.named
        found = [find(spelling) for spelling in spellings]
        if None in found:
            first = found.index(None)
            unknown = len({s for s, k in zip(spellings, found, strict=True) if k is None})
            more = f", nor are {unknown - 1} others of the data" if unknown > 1 else ""
            raise DataError(
                f"{pictures[first]}: '{spellings[first]}' is no class of {self.source}{more}; "
                f"{self._nearest(spellings[first])}"
            )
        return torch.tensor(found)

    def _nearest(self, spelling: str) -> str:
        close = difflib.get_close_matches(spelling, self._numbers, n=1, cutoff=0.6)
        if close:
            return f"did you mean '{close[0]}'?"
        first = self.ids[0] or self.names[0]
        return f"its {len(self)} classes start with '{first}'"


def read_classes(source: str) -> Classes:
    """Those of a file, or `imagenet`: open_clip's names of its 1000 classes, in their order.

    Raises:
        UsageError: a file that cannot be read, fewer than two classes, or one that is listed twice.
    """
    if source == IMAGENET:
        from open_clip import IMAGENET_CLASSNAMES

        return Classes(IMAGENET, tuple(IMAGENET_CLASSNAMES), (None,) * len(IMAGENET_CLASSNAMES))
    names: list[str] = []
    ids: list[str | None] = []
    places: dict[str, int] = {}
    for number, line in enumerate(read_lines("--classes", source), start=1):
        if not line.strip():
            continue
        *before, name = (part.strip() for part in line.split("\t"))
        if len(before) > 1 or not all((*before, name)):
            raise UsageError(f"--classes {source}, line {number}: give a name, or id, tab and name")
        for spelling in {*before, lenient(name)}:
            if spelling in places:
                raise UsageError(
                    f"--classes {source}, line {number}: '{before[0] if before else name}' is in "
                    f"line {places[spelling]} already; each class needs a name and id of its own"
                )
            places[spelling] = number
        names.append(name)
        ids.append(before[0] if before else None)
    return Classes(source, *_checked(f"--classes {source}", names, ids))


def classes_named(source: str, spellings: Sequence[str]) -> Classes:
    """The distinct spellings in order as classes, their names with spaces for _. Raises UsageError
    of fewer than two."""
    distinct = sorted(set(spellings))
    names = [spelling.replace("_", " ") for spelling in distinct]
    ids = [None if name == own else own for name, own in zip(names, distinct, strict=True)]
    return Classes(source, *_checked(source, names, ids))


def lenient(name: str) -> str:
    return name.replace("_", " ").casefold()


def _checked(
    source: str, names: Sequence[str], ids: Sequence[str | None]
) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    if len(names) < 2:
        has = f"only the class '{names[0]}'" if names else "no class"
        raise UsageError(f"{source} has {has}; a picture is told among two or more")
    return tuple(names), tuple(ids)
