"""What the files of a folder were when they were written: size and SHA-256 of each, as JSON.

    manifest.json   {"files": {"unet.safetensors": {"size": 1234, "sha256": "..."}, ...}}

Written last, read first: a file that was cut off, changed, emptied, removed or exchanged since is
found before it is used. Files that the manifest does not list are no part of it. A folder within is
listed by its own manifest, which holds the hashes of its files (`clip/manifest.json`), so that it
cannot be exchanged as a whole.

A folder that says that textdiff wrote it has a manifest, or is refused: a lost one would switch all
of this off. Formats that other programs write too (CLIPs, VAEs) say so by the key `WRITTEN_BY`;
theirs need no manifest. `textdiff ckpt verify FOLDER --adopt` writes one of the files as they are.
"""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
import time
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from textdiff.errors import CheckpointError
from textdiff.files import read_json, write_text

MANIFEST = "manifest.json"
WRITTEN_BY, US = "written_by", "textdiff"  # in the JSON that describes a folder
SWAPPING = 0.5  # seconds that a folder may be without its manifest while its files are exchanged
SETTLED = 2.0  # seconds without a change after which equal times of change mean the same content


def sha256_of(path: Path) -> str:
    """Of a file, in hex digits. What a process has hashed it does not hash again, unless size or
    time of change differ."""
    status = path.stat()
    if time.time() - status.st_mtime < SETTLED:  # two changes within a tick would look like one
        return _sha256(path)
    return _known_sha256(path, status.st_size, status.st_mtime_ns, status.st_ino)


@functools.lru_cache(maxsize=4096)
def _known_sha256(path: Path, _size: int, _mtime_ns: int, _inode: int) -> str:
    return _sha256(path)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_manifest(folder: str | Path, names: Iterable[str]) -> None:
    """Of the files `names` in `folder`, as they are now. Raises OSError."""
    folder = Path(folder)
    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
        for name in sorted(names)
    }
    write_text(folder / MANIFEST, json.dumps({"files": files}, indent=1))


@contextmanager
def exchanging(folder: Path, *, last: str, optional: Iterable[str] = ()) -> Iterator[Path]:
    """A folder to write files into that then, with their manifest, take the place of those in
    `folder`: at once but for the moments of renaming, in which it holds nothing. Where they are the
    same as in `folder` nothing there is touched.

    Args:
        last: the file without which `folder` holds nothing; it comes after all others.
        optional: files that are removed where they are not written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as staging:
        staged = Path(staging)
        yield staged
        names = sorted(path.name for path in staged.iterdir())
        gone = [name for name in optional if name not in names]
        write_manifest(staged, names)
        if _holds(folder, read_manifest(staged)) and not any((folder / n).exists() for n in gone):
            return
        # Who is killed here leaves a folder that holds nothing, not one that lost its manifest.
        for name in (last, MANIFEST, *gone):
            (folder / name).unlink(missing_ok=True)
        names.remove(last)
        for name in (*names, MANIFEST, last):
            (staged / name).replace(folder / name)


def _holds(folder: Path, files: dict[str, tuple[int, str]]) -> bool:
    """Whether the manifest of `folder` lists just these, and they are there as it says."""
    try:
        if read_manifest(folder) != files:
            return False
        verify_manifest(folder)
    except (CheckpointError, FileNotFoundError):
        return False
    return True


def read_manifest(folder: Path) -> dict[str, tuple[int, str]]:
    """By name: size and SHA-256.

    Raises:
        CheckpointError: it cannot be read, or lists no files. FileNotFoundError: there is none.
    """
    file = folder / MANIFEST
    try:
        listed = read_json(file)["files"]
        files = {name: (entry["size"], entry["sha256"]) for name, entry in listed.items()}
    except FileNotFoundError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from None
    for name, (size, sha256) in files.items():
        if type(size) is not int or size < 0 or not isinstance(sha256, str):
            raise CheckpointError(f"{file} gives no size and hash of {name!r}: it is damaged")
    strange = [name for name in files if not _is_in_folder(name)]
    if not files or strange:
        what = f"lists {strange[0]!r}, which is not in its folder" if strange else "lists no files"
        raise CheckpointError(f"{file} {what}: it is damaged")
    return files


def _is_in_folder(name: str) -> bool:
    """A file there, or the manifest of a folder there."""
    folder, _, file = name.rpartition("/")
    return Path(name).as_posix() == name and (
        Path(name).name == name
        or (Path(folder).name == folder not in ("", "..") and file == MANIFEST)
    )


def verify_manifest(folder: Path, but: Container[str] = ()) -> None:
    """Checks every file that the manifest of `folder` lists, `but` for these.

    Raises:
        CheckpointError: names the first file that is missing or differs. FileNotFoundError: the
            folder has no manifest.
    """
    for name, (size, sha256) in read_manifest(folder).items():
        if name in but:
            continue
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path} is missing though {MANIFEST} lists it")
        try:
            same = path.stat().st_size == size and sha256_of(path) == sha256
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
        if not same:
            raise CheckpointError(f"{path} differs from what {MANIFEST} says: the file is damaged")


def verify_folder(folder: Path, *, ours: bool, but: Container[str] = ()) -> None:
    """`verify_manifest`, with what to do about it.

    Args:
        ours: whether the folder says that textdiff wrote it; those of other programs may have come
            without a manifest.
        but: files that are not looked at.

    Raises:
        CheckpointError: a file is missing or differs, or one of ours has no manifest.
    """
    adopt = f"textdiff ckpt verify {folder} --adopt"
    patience = time.monotonic() + (SWAPPING if ours else 0)
    while not (folder / MANIFEST).is_file() and time.monotonic() < patience:
        time.sleep(SWAPPING / 10)
    try:
        verify_manifest(folder, but)
    except FileNotFoundError:
        if ours:
            raise CheckpointError(
                f"{folder} has no {MANIFEST}, which says what its files were when they were "
                f"written; copy or write the folder again, or accept the files as they are: {adopt}"
            ) from None
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}; copy or write the folder again (or, where another program changed it on "
            f"purpose, remove {folder / MANIFEST} and accept the files as they are: {adopt})"
        ) from None
