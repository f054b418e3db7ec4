"""Tar files as webdataset has them, made in memory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image


def png(colour: str | tuple[int, int, int], size: tuple[int, int] = (12, 9)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = ""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def write_tar(
    path: Path,
    files: Mapping[str, bytes | str],
    *others: tarfile.TarInfo,
    form: int = tarfile.USTAR_FORMAT,
) -> Path:
    """Files by name in their order, then members without content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            tar.addfile(member(name, len(data)), io.BytesIO(data))
        for info in others:
            tar.addfile(info)
    return path
