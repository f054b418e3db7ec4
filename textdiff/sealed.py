"""Tensors with all that says what they are, in one file that shows when it was spoilt.

    <name>.safetensors  tensors; metadata "sealed": JSON of {"about": ..., "sha256": of all of it}

The hash covers every byte but itself: a file that was cut off, edited or rotted is an error. Equal
contents give equal bytes (the order of several keys of metadata would be left to chance).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textdiff.errors import DataError
from textdiff.files import disk_errors, replacing

if TYPE_CHECKING:
    from torch import Tensor

KEY = "sealed"


def write_sealed(path: str | Path, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Whole or not at all. about: as JSON. Raises OSError."""
    from safetensors.torch import save_file

    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    said = json.dumps(about)
    seal = json.dumps({"about": said, "sha256": digest(said, contiguous)})
    with replacing(path) as temporary, disk_errors(path):
        save_file(contiguous, temporary, {KEY: seal})


def read_sealed(
    path: str | Path, *, what: str, written_by: str, number: int
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What it is about, and its tensors.

    Args:
        what: it holds, and written_by: which command, for messages.
        number: of the format, that "format" in `about` must be.

    Raises:
        DataError: the file is damaged, of another format, or was never sealed.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(Path(path).expanduser(), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dict
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} cannot be read as {what}: {error}") from None
    try:
        seal = json.loads(metadata[KEY])
        said, sha256 = str(seal["about"]), seal["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{path} is no file of {what}; '{written_by}' writes one") from None
    if digest(said, tensors) != sha256:
        raise DataError(f"{path} is damaged: its content is not what was written")
    try:
        about = json.loads(said)
        found = about["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path} does not say what it holds: {error!r:.100}") from None
    if found != number:
        raise DataError(
            f"{path} is a file of {what} of format {found}, this version reads "
            f"{number}; write it again with '{written_by}'"
        )
    return about, tensors


def digest(about: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of both, in hex digits."""
    import torch

    sha256 = hashlib.sha256(about.encode())
    for name, tensor in sorted(tensors.items()):
        sha256.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        sha256.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return sha256.hexdigest()


def text_as_tensor(content: Any) -> Tensor:
    """JSON of `content` as bytes."""
    import torch

    return torch.frombuffer(bytearray(json.dumps(content).encode()), dtype=torch.uint8)


def text_of_tensor(tensor: Tensor) -> Any:
    """The inverse of `text_as_tensor`. Raises ValueError."""
    return json.loads(tensor.numpy().tobytes())
