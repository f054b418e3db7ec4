"""Whether two protocols agree: every setting by its dotted key.

    data.split is 'test' and 'val'           another protocol: refused
    model.weights is 'a1b2' and 'c3d4'       what is compared: listed

What a user called a thing does not count where its hash stands beside.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from textdiff.data.text import shown
from textdiff.errors import UsageError
from textdiff.evaluation.compare.document import Document, value_at
from textdiff.evaluation.results import json_fields

LABELS = ("name", "source")
HASHES = ("weights", "fingerprint", "sha256")
LOOKS = ("data.image_size", "data.resize", "data.resample")
LONGEST = 60
ABSENT = "not there"


@dataclass(frozen=True)
class Differing:
    """A setting in which two files differ. where: its dotted key."""

    where: str
    a: object
    b: object

    def __str__(self) -> str:
        return f"{self.where} is {shortened(self.a)} and {shortened(self.b)}"


def shortened(value: object) -> str:
    return ABSENT if value is ABSENT else shown(json.dumps(value, ensure_ascii=False), LONGEST)


def compare_protocols(a: Document, b: Document) -> list[Differing]:
    """What is compared: that in which two files differ and may.

    Raises:
        UsageError: they are of two evaluations, or differ in anything else; it names all of it.
    """
    if a.kind is not b.kind:
        raise UsageError(
            f"{a.path} is of 'textdiff {a.kind.command}', {b.path} of 'textdiff "
            f"{b.kind.command}'; give two files of one evaluation"
        )
    subject = (*a.kind.subject, *(a.kind.given if a.given and b.given else ()))
    compared, wrong = [], []
    one, other = settings_of(a), settings_of(b)
    for each in differences(one, other):
        if within(each.where, subject):
            compared.append(each)
        elif not is_label(each.where, one):
            wrong.append(each)
    if wrong:
        raise UsageError(
            f"{a.path} and {b.path} are of different protocols: {'; '.join(map(str, wrong))}"
            f"{advice(wrong)}"
        )
    return compared


def advice(wrong: Iterable[Differing]) -> str:
    """Where pictures of two sizes or shapes were looked at."""
    if not {each.where for each in wrong} & set(LOOKS):
        return ""
    return "; give both the same --data.image-size, --data.resize and --data.resample"


def settings_of(document: Document) -> dict[str, Any]:
    """All that its numbers depend on, by dotted key."""
    kind, content = document.kind, document.content
    keys = [each.key for each in json_fields(kind.protocol)]
    settings = leaves({key: content[key] for key in keys if key in content})
    settings |= {key: value_at(content, key) for key in kind.also} | kind.more(content)
    return {key: value for key, value in settings.items() if not within(key, kind.beside)}


def leaves(value: Any, where: str = "") -> dict[str, Any]:
    """The values of nested JSON by dotted key; items of a list by number, where it holds more than
    plain values."""
    if isinstance(value, dict) and value:
        entries = value.items()
    elif isinstance(value, list) and any(isinstance(each, (dict, list)) for each in value):
        entries = {str(k): each for k, each in enumerate(value)}.items()
    else:
        return {where: value}
    found: dict[str, Any] = {}
    for key, each in entries:
        found |= leaves(each, f"{where}.{key}" if where else key)
    return found


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Differing]:
    pairs = [(key, one.get(key, ABSENT), other.get(key, ABSENT)) for key in {**one, **other}]
    return [Differing(key, a, b) for key, a, b in pairs if a != b]


def within(key: str, prefixes: Iterable[str]) -> bool:
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in prefixes)


def is_label(key: str, settings: Mapping[str, Any]) -> bool:
    """Whether a hash says in its place what is meant."""
    parent, _, last = key.rpartition(".")
    return last in LABELS and any(f"{parent}.{name}" in settings for name in HASHES)
