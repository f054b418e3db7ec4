"""Where each member of a tar lies, read from its headers alone, once.

    shard (path, size, time of change) ──► <cache>/shards/<key>.json: a Member for each file in it

Nothing is ever extracted. Of a tar that was cut off or damaged nothing is used, as no one could say
what is missing.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import tarfile
from dataclasses import astuple
from typing import Literal, NamedTuple

from textdiff.data.config import DataConfig
from textdiff.data.pixel_cache import cache_root
from textdiff.data.shards import Shard
from textdiff.data.text import as_utf_8, shown
from textdiff.errors import DataError
from textdiff.files import read_json, write_text

FORMAT = 1  # of the index file
BLOCK = tarfile.BLOCKSIZE
LONGEST_HEADER = 2**20  # bytes: long names and other attributes stand in blocks before a member
TAIL = 2**20  # bytes after the end of the archive that are looked at
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}

Kind = Literal["file", "link", "special", "sparse"]


class Member(NamedTuple):
    """What a tar holds under a name (UTF-8); a file is its bytes [offset, offset + size)."""

    name: str
    kind: Kind
    offset: int
    size: int


def members_of(shard: Shard, config: DataConfig) -> list[Member]:
    """All members of a shard but directories, from the cache where they are known.

    Raises:
        DataError: the shard is compressed, cut off or damaged; the cache cannot be written.
    """
    key = hashlib.sha256(json.dumps([FORMAT, *astuple(shard)]).encode()).hexdigest()[:16]
    file = cache_root(config) / "shards" / f"{key}.json"
    try:
        return [Member(*row) for row in read_json(file)]
    except (OSError, ValueError, TypeError):  # not there, or damaged
        members = read_headers(shard)
    try:
        write_text(file, json.dumps(members))
    except OSError as error:
        raise DataError(
            f"cache folder {file.parent} cannot be used: {error}; set data.cache_dir or "
            "TEXTDIFF_CACHE to a folder that can be written"
        ) from None
    return members


def read_headers(shard: Shard) -> list[Member]:
    """All members of a shard but directories, in its order. Raises DataError, with the offset."""
    with _Headers(shard.path) as file:
        start = file.read(BLOCK)
        for magic, name in COMPRESSED.items():
            if start.startswith(magic):
                raise compressed(shard.path, name)
        file.seek(0)
        try:
            with tarfile.TarFile(fileobj=file, encoding="utf-8", errors="surrogateescape") as tar:
                members = [_member(info, shard) for info in tar if not info.isdir()]
                _check_end(shard, file, tar.offset)
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise DataError(
                f"{shard.path} cannot be read as a tar at about byte {file.tell():,}: "
                f"{shown(str(error), 100)}; copy it again"
            ) from None
    return members


def compressed(path: str, how: str) -> DataError:
    return DataError(
        f"{path} is compressed ({how}), so that no member can be read without all before it; "
        "decompress it to a plain .tar (pictures are compressed already)"
    )


class _Headers(io.FileIO):
    """A file that refuses to read what no header needs, whatever size a header states."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= LONGEST_HEADER:
            raise tarfile.ReadError(f"a header states {size:,} bytes of attributes")
        return super().read(size)


def _member(info: tarfile.TarInfo, shard: Shard) -> Member:
    name = as_utf_8(info.name).removeprefix("./")
    end = info.offset_data + BLOCK * math.ceil(info.size / BLOCK)  # with what fills its last block
    if info.size < 0:  # tarfile goes back then, maybe for ever
        raise tarfile.ReadError(f"the header of '{name}' states a negative size")
    if info.issparse():
        kind: Kind = "sparse"
    elif info.isfile():
        kind = "file"
        if end > shard.size:
            raise DataError(
                f"{shard.path} is cut off: its member '{shown(name, 100)}' at byte "
                f"{info.offset_data:,} should end at byte {end:,}, the file has {shard.size:,}; "
                "copy it again"
            )
    else:
        kind = "link" if info.islnk() or info.issym() else "special"
    return Member(name, kind, info.offset_data, info.size)


def _check_end(shard: Shard, file: io.FileIO, end: int) -> None:
    """tarfile takes whatever is no header, or nothing at all, for the end of an archive."""
    file.seek(end)
    block = file.read(BLOCK)
    if len(block) < BLOCK:
        raise DataError(
            f"{shard.path} is cut off at byte {end + len(block):,}: a tar ends in blocks of "
            "zeros; copy it again"
        )
    if block.strip(b"\0"):
        raise DataError(f"{shard.path} is damaged: no header of a tar at byte {end:,}")
    if file.read(TAIL).strip(b"\0"):
        raise DataError(
            f"{shard.path} goes on after the end of its archive at byte {end:,}; give each "
            "archive a file of its own"
        )
