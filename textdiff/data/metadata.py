"""The rows of a metadata file, each with its place; rows that are none are flaws.

    metadata.jsonl   {"file_name": "a.png", "text": "a red apple"}   or "text": ["...", "..."]
    metadata.csv     file_name,text

A CSV may have unnamed columns, such as the index that pandas writes or what follows a comma at the
end of each line; they are left out.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textdiff.data.columns import pick_column
from textdiff.data.config import DataConfig
from textdiff.data.entries import SPLIT_NAMES, Split
from textdiff.data.survey import Flaw, FlawedError
from textdiff.data.text import clean_caption, is_utf_8, lines_of
from textdiff.errors import DataError

Row = tuple[str, dict[str, Any]]  # its place, such as "metadata.csv, line 3", and its columns


def rows_of(table: Path) -> Iterator[Row | Flaw]:
    """The rows of a metadata file in order. Raises DataError where it cannot be read at all."""
    text = _text_of(table)
    return _csv_rows(table, text) if table.suffix == ".csv" else _json_rows(table, text)


def column_of(wanted: str | None, usual: tuple[str, ...], row: dict[str, Any]) -> str:
    """As `pick_column`, of one row. Raises FlawedError."""
    try:
        return pick_column(wanted, usual, list(row), "its columns")
    except DataError as error:
        raise FlawedError("missing column", str(error).removeprefix("its columns: ")) from None


@dataclass(frozen=True, slots=True)
class Stated:
    """What a row says of its picture. captions: empty where none are needed and there are none."""

    captions: list[str]
    split: Split | None
    label: str | None


def stated(row: dict[str, Any], usual: tuple[str, ...], config: DataConfig) -> Stated:
    """usual: names of the column of captions. Raises FlawedError."""
    split, label = stated_split(row), stated_label(row, config.label_column)
    try:
        captions = captions_of(row, column_of(config.caption_column, usual, row))
    except FlawedError:
        if config.need_captions:
            raise
        captions = []
    return Stated(captions, split, label)


def captions_of(row: dict[str, Any], column: str) -> list[str]:
    """The captions in a row's column; bytes are those of a text file. Raises FlawedError."""
    value = row[column]
    return captions_of_text(value, column) if isinstance(value, bytes) else texts_of(value, column)


def texts_of(value: Any, column: str) -> list[str]:
    """The captions that a column's value is: a text or a list of texts. Raises FlawedError."""
    texts = value if isinstance(value, list) else [value]
    captions = [clean_caption(text) for text in texts if isinstance(text, str)]
    if not captions or len(captions) < len(texts) or not all(captions):
        raise FlawedError("no caption", f"'{column}' must be a text or a list of texts, none empty")
    if not all(map(is_utf_8, texts)):
        raise FlawedError("not UTF-8", f"'{column}' is not UTF-8 text; save the file as UTF-8")
    return captions


def stated_label(row: dict[str, Any], wanted: str | None) -> str | None:
    """The class in the column `wanted`, a text or a whole number; None where none is wanted. Raises
    FlawedError."""
    if wanted is None:
        return None
    value = row[column_of(wanted, (), row)]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise FlawedError("no label", f"'{wanted}' must be the name, id or number of a class")
    return clean_caption(value)


def captions_of_text(content: bytes, where: str) -> list[str]:
    """Of a .txt file beside a picture, one per line. Raises FlawedError."""
    text = content.decode("utf-8-sig", "surrogateescape")
    if not is_utf_8(text):
        raise FlawedError("not UTF-8", f"{where} cannot be read as UTF-8 text")
    captions = [caption for line in lines_of(text) if (caption := clean_caption(line))]
    if not captions:
        raise FlawedError("no caption", f"{where} holds no caption")
    return captions


def json_object(text: str | bytes) -> dict[str, Any]:
    """Raises FlawedError of anything else."""
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise FlawedError("not JSON", f"not valid JSON: {error.msg}") from None
    except UnicodeDecodeError:
        raise FlawedError("not UTF-8", "not UTF-8 text") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or nested as deeply
        raise FlawedError("not JSON", "not valid JSON: too long a number or too deep") from None
    if not isinstance(row, dict):
        raise FlawedError("not JSON", "needs an object such as {'file_name': ..., 'text': ...}")
    return row


def stated_split(row: dict[str, Any]) -> Split | None:
    """By the row's column `split`; None where it has none. Raises FlawedError."""
    value = row.get("split")
    if not value:
        return None
    if str(value).lower() not in SPLIT_NAMES:
        known = ", ".join(SPLIT_NAMES)
        raise FlawedError("unknown split", f"unknown split '{str(value)[:50]}'; known: {known}")
    return SPLIT_NAMES[str(value).lower()]


def _text_of(table: Path) -> str:
    """Bytes that are not UTF-8 stay as surrogates, so that only the rows they are in are flawed."""
    try:
        content = table.read_bytes()
    except OSError as error:
        raise DataError(f"{table} cannot be read: {error.strerror}") from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{table} is UTF-16 text; save it as UTF-8")
    return content.decode("utf-8-sig", "surrogateescape")


def _csv_rows(table: Path, text: str) -> Iterator[Row | Flaw]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Flaw(f"{table}, line {reader.line_num}", "not CSV", f"not valid CSV: {error}")
            continue
        if not fields:
            continue
        if header is None:
            header = [name.strip() for name in fields]
            continue
        where = f"{table}, line {reader.line_num}"
        if any(field.strip() for field in fields[len(header) :]):
            detail = "more fields than columns; quote a text with commas"
            yield Flaw(where, "more fields than columns", detail)
            continue
        padded = [*fields, *[None] * (len(header) - len(fields))]
        yield where, {name: value for name, value in zip(header, padded, strict=False) if name}


def _json_rows(table: Path, text: str) -> Iterator[Row | Flaw]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{table}, line {number}"
        try:
            yield where, json_object(line)
        except FlawedError as error:
            yield error.at(where)
