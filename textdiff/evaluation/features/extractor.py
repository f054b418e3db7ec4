"""What turns pictures into features, whichever network does it.

    pictures, uint8 (n, 3, H, W) ── resize, normalise, network ──► (n, D) float32 on the CPU

A CLIP is one of these kinds, the Inception network of the Frechet distance another. Numbers of two
extractors are never comparable, so each says in full what it is (`ExtractorProtocol`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, Protocol, runtime_checkable

from textdiff.data.config import DataConfig, Resize
from textdiff.types import Features, Pictures

Kind = Literal["clip", "inception", "transformers", "timm"]


@dataclass(frozen=True)
class Preprocessing:
    """How pictures become the network's input.

    image_size: side of the square that it sees. resize: how a picture becomes one. resample: the
    filter. antialias: whether it is widened for smaller pictures. mean, std: subtracted from pixels
    in [0, 1], and divided by.
    """

    image_size: int
    resize: Resize
    resample: str
    antialias: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class ExtractorProtocol:
    """An extractor in files of features and of numbers.

    name: what the user called it. weights: their hash. layer: whose output the features are.
    architecture: hash of what the network is built from, such as heads, activations, epsilons and
    a tokenizer; "" in results of versions that did not say.
    """

    name: str
    kind: Kind
    weights: str
    layer: str
    dim: int
    preprocessing: Preprocessing
    architecture: str = ""

    def same_as(self, other: ExtractorProtocol) -> bool:
        """Whether features of both are comparable, whatever each is called."""
        return self.identity == other.identity

    @property
    def identity(self) -> tuple[object, ...]:
        """All but the name."""
        return tuple(getattr(self, name) for name in DECISIVE)

    def __str__(self) -> str:
        return f"{self.kind} {self.name} (weights {self.weights})"


DECISIVE = tuple(each.name for each in fields(ExtractorProtocol) if each.name != "name")


@runtime_checkable
class Extractor(Protocol):
    """batch_size: pictures that it takes at once; as a sum may be rounded otherwise in a batch of
    another size, always the same."""

    @property
    def protocol(self) -> ExtractorProtocol: ...

    @property
    def batch_size(self) -> int: ...

    def prepared(self, config: DataConfig) -> DataConfig:
        """`config` with pictures of the size that it sees, made as it does it, but for what was
        asked for: files that are resized once lose less than files that are resized twice."""
        ...

    def encode(self, images: Pictures) -> Features:
        """(n, D) float32 on the CPU of pictures of any size, not normalised."""
        ...


@runtime_checkable
class TextExtractor(Protocol):
    """An extractor whose features of captions lie in the space of those of pictures."""

    def encode_texts(self, captions: Sequence[str]) -> Features:
        """(n, D) float32 on the CPU, not normalised."""
        ...

    def num_truncated(self, captions: Sequence[str]) -> int:
        """How many of the captions are longer than what it reads, and cut."""
        ...
