"""What can happen to a file after it was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from textdiff.manifests import MANIFEST, WRITTEN_BY
from textdiff.training.adopted import adopt

# what says in JSON who wrote a folder
DESCRIBED = {"open_clip_config.json": WRITTEN_BY, "config.json": f"_{WRITTEN_BY}"}


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
    """No manifest in the folder says what its files were; those of a CLIP or a VAE were written by
    another program. Returns it."""
    for manifest in folder.rglob(MANIFEST):
        manifest.unlink()
    for name, key in DESCRIBED.items():
        for description in folder.rglob(name):
            said = json.loads(description.read_text())
            said.pop(key, None)
            description.write_text(json.dumps(said))
    return folder


def accept(folder: Path) -> Path:
    """The manifests in the folder, and of its parts, are of the files as they are now: as if who
    changed them had written it. Returns it."""
    forget(folder)
    adopt(folder)
    return folder


DAMAGE: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "bit flipped": flip_bit,
    "last bit flipped": lambda path: flip_bit(path, 1.0),
    "emptied": empty,
    "deleted": delete,
    "swapped": swap,
}
