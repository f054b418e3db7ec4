"""Members of a tar grouped by key, as webdataset names them.

    train/0001.jpg  train/0001.txt  train/0001.seg.png  ──►  key train/0001: jpg, txt, seg.png

A key is a name up to the first dot after its last slash, the extension what follows, in lower case.
Unlike webdataset's, the members of a key need not follow each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from textdiff.data.decode import OTHER_SUFFIXES, SUFFIXES
from textdiff.data.survey import Flaw, FlawedError
from textdiff.data.tar_index import Kind, Member
from textdiff.data.walk import HIDDEN

Sample = dict[str, Member]  # the members of a key by extension

TEXTS = ("txt", "json")
OWN = "webdataset's own"
NO_KEY = "name without an extension"
_OWN = re.compile(r"__[^/]*__($|/)")
_REFUSED: dict[Kind, tuple[str, str]] = {
    "link": ("link in a tar", "a link; store the file itself (tar --dereference)"),
    "special": ("not a regular file", "a device or pipe; only files are read"),
    "sparse": ("sparse file in a tar", "stored with holes left out; store it whole"),
}


@dataclass(frozen=True)
class Samples:
    """of: by key. flaws and ignored: of members that belong to no sample."""

    of: dict[str, Sample] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)
    ignored: dict[str, list[str]] = field(default_factory=dict)


def split_name(name: str) -> tuple[str, str] | None:
    """(key, extension) of a member's name; None: it has no key."""
    folder, slash, file = name.rpartition("/")
    stem, dot, extension = file.partition(".")
    return (f"{folder}{slash}{stem}", extension.lower()) if stem and dot else None


def samples_of(members: Sequence[Member], shard: str) -> Samples:
    """The members of a shard by key, in the order of their first ones."""
    samples, repeated = Samples(), set()
    for member in members:
        where, reason = f"{shard}/{member.name}", _ignored(member.name)
        parts = split_name(member.name)
        if reason or parts is None:
            samples.ignored.setdefault(reason or NO_KEY, []).append(where)
            continue
        if member.kind != "file":
            samples.flaws.append(Flaw(where, *_REFUSED[member.kind]))
            continue
        key, extension = parts
        if extension in samples.of.setdefault(key, {}):
            repeated.add(key)
            detail = "a second member of this name; keep one, in a tar that is written anew"
            samples.flaws.append(Flaw(where, "name given twice", detail))
        samples.of[key][extension] = member
    for key in repeated:
        del samples.of[key]
    return samples


def picture_of(sample: Sample, wanted: str | None) -> str | None:
    """The extension of the picture, `wanted` if that is given; None: the sample has no picture.

    Raises:
        FlawedError: it was meant to have one that can be used.
    """
    if wanted is not None:
        extension = wanted.lower().removeprefix(".")
        if extension in sample:
            return extension
        if sample.keys() <= set(TEXTS):
            return None
        raise FlawedError("no picture", f"no .{extension}; it has {', '.join(sorted(sample))}")
    pictures = [extension for extension in sample if f".{extension}" in SUFFIXES]
    if len(pictures) > 1:
        detail = f"both {' and '.join(pictures[:2])}; name one with data.image_column"
        raise FlawedError("several pictures", detail)
    others = [extension for extension in sample if f".{extension}" in OTHER_SUFFIXES]
    if not pictures and others and sample.keys() & set(TEXTS):
        detail = f"{others[0]} is a kind of picture that cannot be read; save it as jpg or png"
        raise FlawedError("kind of picture", detail)
    return pictures[0] if pictures else None


def why_ignored(extension: str) -> str:
    """Of a member that belongs to a key and is not used."""
    if extension in TEXTS:
        return "text without a picture"
    if f".{extension}" in OTHER_SUFFIXES:
        return "kind of picture that cannot be read"
    return "other picture of a key" if f".{extension}" in SUFFIXES else "other kind of file"


def _ignored(name: str) -> str | None:
    if any(part.startswith(".") and part not in (".", "..") for part in name.split("/")):
        return HIDDEN
    return OWN if _OWN.match(name) else None
