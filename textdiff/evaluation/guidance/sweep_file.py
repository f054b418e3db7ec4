"""The file of a sweep: written after each setting, so that a run that is cut off keeps what it has;
continued by a run of the same protocol."""

from __future__ import annotations

from pathlib import Path

from textdiff.errors import UsageError
from textdiff.evaluation.guidance.sweep import Sweep, SweepProtocol
from textdiff.evaluation.results import as_text, from_json, to_json
from textdiff.files import read_json, write_text


def read_sweep(path: str | Path) -> Sweep:
    """What `write_sweep` wrote. Raises UsageError."""
    try:
        document = read_json(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from None
    try:
        return from_json(Sweep, document)
    except ValueError as error:
        raise UsageError(
            f"{path} holds no sweep; give a file that 'textdiff guidance --json' wrote ({error})"
        ) from None


def write_sweep(path: str | Path, sweep: Sweep) -> None:
    write_text(path, as_text(to_json(sweep)))


def find_sweep(path: str | Path | None, protocol: SweepProtocol) -> Sweep | None:
    """The sweep that a run of `protocol` continues; None where there is no file yet.

    Raises:
        UsageError: the file is of another protocol, or holds no sweep at all.
    """
    if path is None or not Path(path).exists():
        return None
    sweep = read_sweep(path)
    what = first_difference(to_json(sweep.protocol), to_json(protocol))
    if what:
        raise UsageError(f"--json {path} is of another protocol: {what}; name another file")
    return sweep


def first_difference(one: object, other: object, where: str = "") -> str | None:
    """Names the first entry in which two JSON values differ; None where they are equal."""
    if one == other:
        return None
    if isinstance(one, dict) and isinstance(other, dict):
        name = next(key for key in {**one, **other} if one.get(key) != other.get(key))
        inside = f"{where}.{name}" if where else name
        return first_difference(one.get(name), other.get(name), inside)
    return f"{where} is {one}, not {other}"
