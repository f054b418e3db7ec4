"""What a training asks of its data: pictures of a split, or their embeddings.

rows 0..n-1 with captions ── `read` ──► Batch.image        `loader.batches` draws the rows
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor


class TrainingData(Protocol):
    """Rows of one split; see `CaptionedImages`, which has more, for what each name means."""

    name: str
    split: str
    identifiers: list[str]
    captions: list[list[str]]
    fingerprint: str
    notes: list[str]
    attribution: str | None
    bad: dict[int, str]

    def __len__(self) -> int: ...

    @property
    def title(self) -> str: ...

    @property
    def group_size(self) -> int:
        """Of neighbours that always come in one batch; 1: none do."""
        ...

    @property
    def described(self) -> Mapping[str, Any]:
        """Settings as JSON that say in words what the fingerprint says in digits."""
        ...

    @property
    def files(self) -> list[Path]:
        """That rows are read from, and that may change; none where the fingerprint tells all."""
        ...

    @property
    def rejected(self) -> Counter[str]: ...

    def read(self, indices: Sequence[int]) -> tuple[list[int], Tensor]:
        """Rows (n, ...) with unusable ones replaced, and the index of each that was read."""
        ...

    def usable(self, indices: Sequence[int]) -> tuple[list[int], Tensor]:
        """Those of `indices` that can be used, and their rows."""
        ...

    def note_bad(self, reasons: Mapping[int, str]) -> None:
        """Adds unusable rows, met by a worker."""
        ...
