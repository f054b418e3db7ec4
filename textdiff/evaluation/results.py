"""Results of evaluations as JSON, and back: dataclasses to objects, one key per field.

    @dataclass(frozen=True)
    class Rates:
        at_1: Annotated[Estimate, Key("R@1")]       # another key than the field's name
        bits: Annotated[Estimate, INLINE]           # its keys stand among those of this object
        seconds: Annotated[float | None, OMIT_NONE] = None       # no key while it is None

A class whose JSON has another shape than its fields has `as_json` (and `from_json`) instead, as
Estimate does. What an evaluation returns is a `Result`: it yields (name, Estimate) of what it is
about, for `tables.print_estimates`, and is written beside its protocol by `write_result`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from textdiff.evaluation.protocol import versions
from textdiff.files import write_text
from textdiff.metrics.bootstrap import Estimate

T = TypeVar("T")


@runtime_checkable
class Result(Protocol):
    """What an evaluation returns: a dataclass."""

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        """Its main numbers, by name, such as "held out R@1"."""
        ...


@dataclass(frozen=True)
class Key:
    """The key that a field stands under in JSON."""

    name: str


INLINE = "inline"
OMIT_NONE = "omit none"


def to_json(value: Any) -> Any:
    """What `json` writes: dataclasses and mappings as dicts, sequences as lists."""
    if hasattr(value, "as_json"):
        return value.as_json()
    if dataclasses.is_dataclass(value):
        return fields_to_json(value)
    if isinstance(value, Mapping):
        return {str(name): to_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(each) for each in value]
    return value


def fields_to_json(value: Any) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    kind: Any = type(value)
    for field in json_fields(kind):
        content = getattr(value, field.name)
        if field.inline:
            entries |= to_json(content)
        elif not (field.omit_none and content is None):
            entries[field.key] = to_json(content)
    return entries


@dataclass(frozen=True)
class JsonField:
    """A field of a dataclass in JSON. hint: its type."""

    name: str
    hint: Any
    key: str
    inline: bool
    omit_none: bool
    required: bool


@cache
def json_fields(kind: Any) -> list[JsonField]:
    """Those of a dataclass, by its annotations."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        marks: Sequence[Any] = getattr(hint, "__metadata__", ())
        fields.append(
            JsonField(
                name=field.name,
                hint=typing.get_args(hint)[0] if marks else hint,
                key=next((mark.name for mark in marks if isinstance(mark, Key)), field.name),
                inline=INLINE in marks,
                omit_none=OMIT_NONE in marks,
                required=field.default is dataclasses.MISSING,
            )
        )
    return fields


def from_json(kind: type[T], content: Any, where: str = "result") -> T:
    """The inverse of `to_json`, for a type made of dataclasses, dicts, lists, tuples and plain
    values; keys that it does not know are passed over.

    Args:
        where: what `content` is called in messages.

    Raises:
        ValueError: a key is missing or a value is of another type; the message says where.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    read: Any
    own_reader = getattr(kind, "from_json", None)
    if own_reader:
        try:
            read = own_reader(content)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{where} is no {kind.__name__}: {error!r}") from None
    elif dataclasses.is_dataclass(kind):
        read = _fields_from_json(kind, content, where)
    elif origin in (typing.Union, types.UnionType):
        there = next(each for each in inner if each is not type(None))
        read = None if content is None else from_json(there, content, where)
    elif origin is dict:
        items = _checked(content, dict, where).items()
        read = {name: from_json(inner[1], each, f"{where}.{name}") for name, each in items}
    elif origin in (list, tuple):
        numbered = enumerate(_checked(content, list, where))
        read = origin(from_json(inner[0], each, f"{where}[{k}]") for k, each in numbered)
    elif kind is float:
        read = _checked(content, (int, float), where)
    else:
        read = _checked(content, kind, where) if isinstance(kind, type) else content
    return typing.cast(T, read)


def _fields_from_json(kind: Any, content: Any, where: str) -> Any:
    entries, values = _checked(content, dict, where), {}
    for field in json_fields(kind):
        if field.inline:
            values[field.name] = from_json(field.hint, entries, where)
        elif field.key in entries:
            values[field.name] = from_json(field.hint, entries[field.key], f"{where}.{field.key}")
        elif field.required:
            raise ValueError(f"{where} lacks '{field.key}'")
    return kind(**values)


def _checked(content: Any, kind: Any, where: str) -> Any:
    if not isinstance(content, kind):
        raise ValueError(f"{where} is of the wrong type: {str(content)[:40]}")
    return content


def as_text(document: Any) -> str:
    """JSON with each list of numbers in one line. No string in JSON holds a line break, so what
    starts with one is a list."""
    text = json.dumps(document, indent=2) + "\n"
    return re.sub(r'\[\n[^\[\]{}"]*\]', lambda numbers: " ".join(numbers[0].split()), text)


def write_result(path: str | Path | None, protocol: object, result: Result) -> None:
    """Writes the fields of two dataclasses, those of `protocol` first, as `write_numbers`."""
    write_numbers(path, {**to_json(protocol), **to_json(result)})


def write_numbers(path: str | Path | None, numbers: Mapping[str, Any]) -> None:
    """Writes `numbers` and the versions of what they depend on, if a path is given; says where."""
    if path:
        write_text(path, as_text({**to_json(numbers), "versions": versions()}))
        print(f"numbers and protocol: {path}")
