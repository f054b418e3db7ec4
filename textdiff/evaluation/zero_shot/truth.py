"""Which class is right for each picture, as far as anything says.

val/n01440764/a.JPEG ── folder ────────► n01440764
{"file_name": ..., "species": "cat"} ──► cat            the column data.label_column
a scene's facts ── colour, object ─────► red, apple
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from textdiff.data import CaptionedImages
from textdiff.data.scenes.colours import COLOURS
from textdiff.errors import DataError, UsageError
from textdiff.evaluation.zero_shot.classes import Classes, classes_named, read_classes
from textdiff.evaluation.zero_shot.settings import TruthKind
from textdiff.metrics.zero_shot import Labels

FACTS = ("colour", "object")
NO_CLASSES = (
    "which classes? give --classes FILE or --classes imagenet, a folder of each class, "
    "--data.label-column, or on scenes --truth colour or object"
)


@dataclass(frozen=True)
class Truth:
    """kind: what says so, "none" where nothing does. labels: (n,) the class of each picture of the
    split; None where nothing says so."""

    kind: TruthKind
    classes: Classes
    labels: Labels | None


def truth_of(data: CaptionedImages, kind: TruthKind, source: str | None) -> Truth:
    """The classes, and the one that is right for each picture.

    Args:
        source: where the classes are listed; None: those that the truth names.

    Raises:
        UsageError: a list that cannot be used, or none where nothing else names the classes.
        DataError: the data do not say what is asked for, or name a class that is not listed.
    """
    listed = read_classes(source) if source else None
    guessed = kind == "auto"
    if guessed:
        kind = guess(data, listed)
    if kind == "none":
        if listed is None:
            raise UsageError(NO_CLASSES)
        return Truth(kind, listed, None)
    spellings = spellings_of(data, kind)
    if kind == "sorted-folders":
        if listed is None:
            raise UsageError("--truth sorted-folders needs --classes, in the order of the folders")
        listed = in_order_of_folders(listed, spellings, data)
    if listed is None:
        words = words_of(data, kind) if kind in FACTS else spellings
        listed = classes_named(f"{kind}s of {data.name}", words)
    numbers = not (guessed and kind == "folder")
    return Truth(kind, listed, listed.labels(spellings, data.identifiers, numbers))


def guess(data: CaptionedImages, listed: Classes | None) -> TruthKind:
    """Labels where their column is named; folders where one of them is a class by name or id, or
    where nothing else names the classes and every picture lies in one; or else none.

    Raises:
        UsageError: all folders are numbers, which may be those of classes, of shards or of years.
    """
    if data.config.label_column is not None:
        return "label"
    folders = set(map(folder_of, data.identifiers))
    if listed is not None and any(listed.named(folder) is not None for folder in folders):
        return "folder"
    if all(folder.isdecimal() for folder in folders):
        raise UsageError(
            f"{data.name}: its folders are numbers, as '{min(folders)}', which may be classes or "
            "not; give --truth folder if they are, else --truth none"
        )
    return "none" if listed is not None or "" in folders else "folder"


def spellings_of(data: CaptionedImages, kind: TruthKind) -> list[str]:
    """Of the class of each picture. Raises DataError."""
    if kind in FACTS:
        return [fact_of(data, index, kind) for index in range(len(data))]
    if kind == "label":
        if data.labels is None:
            raise DataError(f"{data.name} has no labels that --data.label-column could name")
        return data.labels
    folders = [folder_of(name) for name in data.identifiers]
    if "" in folders:
        name = data.identifiers[folders.index("")]
        raise DataError(f"{data.name}: {name} lies in no folder that could be its class; move it")
    return folders


def folder_of(identifier: str) -> str:
    """The name of the folder that holds a picture; empty where that is the data's own."""
    return PurePosixPath(identifier).parent.name


def fact_of(data: CaptionedImages, index: int, fact: TruthKind) -> str:
    """The colour or the object in a scene. Raises DataError."""
    if data.scenes is None:
        raise DataError(f"{data.name} has pictures without facts; --truth {fact} is for scenes")
    groups = data.scenes[index].groups
    if len(groups) > 1:
        raise DataError(
            f"{data.name}: {data.identifiers[index]} shows things of two kinds, so has no single "
            f"{fact}; take --data.level pairs or counts"
        )
    return groups[0].colour if fact == "colour" else groups[0].kind


def words_of(data: CaptionedImages, fact: TruthKind) -> Sequence[str]:
    """All colours, or all objects, that the scenes may have."""
    if fact == "colour":
        return tuple(COLOURS)
    if data.combinations:
        return data.combinations.kinds
    return spellings_of(data, fact)


def in_order_of_folders(
    classes: Classes, spellings: Sequence[str], data: CaptionedImages
) -> Classes:
    """Classes with the names of the class folders, in order, as their ids. The folders of ImageNet
    are named by WordNet ids, in whose order its classes are counted.

    Raises:
        DataError: not as many folders as classes.
    """
    folders = sorted(set(spellings))
    if len(folders) != len(classes):
        raise DataError(
            f"{data.name}, split {data.split}: {len(folders)} class folders, from '{folders[0]}' "
            f"to '{folders[-1]}', for the {len(classes)} classes of {classes.source}; their order "
            "tells which is which only if there is one for each"
        )
    return replace(classes, ids=tuple(folders))
