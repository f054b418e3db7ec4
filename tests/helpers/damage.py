"""What can happen to a file after it was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textdiff.manifests import MANIFEST


def truncate(path: Path) -> None:
    """Its second half is gone."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip_bit(path: Path, at: float = 0.5) -> None:
    """One bit of the byte at that share of its length."""
    content = bytearray(path.read_bytes())
    content[min(int(at * len(content)), len(content) - 1)] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    """It is there, without content."""
    path.write_bytes(b"")


def delete(path: Path) -> None:
    """It is gone."""
    path.unlink()


def swap(path: Path) -> None:
    """Another file of the same length has its name: all bytes but the first 200 are reversed."""
    content = path.read_bytes()
    path.write_bytes(content[:200] + content[200:][::-1] if len(content) > 400 else content[::-1])


def forget(folder: Path) -> Path:
    """No manifest in the folder says what its files were, as if another program had written them;
    returns it."""
    for manifest in folder.rglob(MANIFEST):
        manifest.unlink()
    return folder


DAMAGE: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "bit flipped": flip_bit,
    "last bit flipped": lambda path: flip_bit(path, 1.0),
    "emptied": empty,
    "deleted": delete,
    "swapped": swap,
}
