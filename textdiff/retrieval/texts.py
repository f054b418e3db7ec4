"""Many short texts in two tensors, so that a million of them are no million objects.

"red", "", "blue" -> bytes "redblue", ends 3, 3, 7
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor


@dataclass(frozen=True)
class PackedTexts:
    """content: UTF-8 of all of them. ends: (n,) where each ends."""

    content: UInt8[Tensor, " bytes"]
    ends: Int64[Tensor, " n"]

    @classmethod
    def of(cls, texts: Sequence[str]) -> PackedTexts:
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        content = torch.frombuffer(bytearray(b"".join(encoded)) or bytearray(1), dtype=torch.uint8)
        ends = torch.tensor([len(each) for each in encoded], dtype=torch.int64).cumsum(0)
        return cls(content[: int(ends[-1]) if len(ends) else 0], ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, number: int) -> str:
        start = int(self.ends[number - 1]) if number else 0
        content = self.content[start : int(self.ends[number])]
        return content.numpy().tobytes().decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))
