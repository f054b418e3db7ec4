"""Stateless randomness: every draw is a pure function of named parts, e.g. (seed, step, sample id).

So a resumed run needs no generator state, and ranks, workers and batch sizes do not change what a
sample sees.

    parts ──► blake2b, 128 bits ──► key of Philox 4x64 (counter-based) ──► 64-bit words
    words ──► uniform in [0, 1), integers, normals (Box and Muller 1958), permutations

Two streams are the same only if their 128 bits are. A torch generator would not do: on the CPU it
reads 32 bits of its seed, so that one in four thousand of a million pictures would share its noise
with another. Philox's words are the same on every machine and in every version of numpy.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from numpy.random.bit_generator import ISeedSequence
from torch import Tensor

Part = int | str
Words: TypeAlias = npt.NDArray[np.uint64]


def seed_of(*parts: Part) -> int:
    """A number in 0..2^63-1 from the parts, to hash by or for the global generators, of whose seeds
    torch reads 32 bits on the CPU; for draws of samples see `Stream`."""
    return int.from_bytes(_digest(parts, 8), "big") >> 1


@contextmanager
def weights_drawn_by(seed: int) -> Iterator[None]:
    """Modules that are built on the CPU within have weights that are a function of `seed`; torch's
    global generator goes on outside as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def key_of(*parts: Part) -> int:
    """The 128 bits that a stream is a function of; close parts give unrelated keys."""
    return int.from_bytes(_digest(parts, 16), "little")


def _digest(parts: Sequence[Part], size: int) -> bytes:
    text = "\x1f".join(map(str, parts))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()


class _Key(ISeedSequence):
    """How numpy takes a key as it is, without first asking the system for a seed."""

    def __init__(self, digest: bytes):
        self.digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> Any:
        return np.frombuffer(self.digest, np.dtype("<u8")).astype(dtype)


class Stream:
    """The draws of `parts`, one after the other, on the CPU."""

    def __init__(self, *parts: Part):
        self._philox = np.random.Philox(_Key(_digest(parts, 16)))  # type: ignore[arg-type]

    def words(self, count: int) -> Words:
        """The next `count` words of 64 bits."""
        return self._philox.random_raw(count)

    def uniform(self, *shape: int) -> Tensor:
        """In [0, 1), float64."""
        return uniform(self.words(math.prod(shape)).reshape(shape))

    def integers(self, high: int, *shape: int) -> Tensor:
        """Of 0..high-1, int64; high up to 2^40."""
        return (self.uniform(*shape) * high).long()

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, float32."""
        count = math.prod(shape)
        return normal(self.words(words_for(count)), count).reshape(shape)

    def permutation(self, count: int) -> Tensor:
        """0..count-1 in random order, int64."""
        return torch.from_numpy(np.argsort(self.words(count), kind="stable"))


def normals(streams: Sequence[Stream], shape: tuple[int, ...]) -> Tensor:
    """The next `normal(*shape)` of each stream, stacked, in one go: (len(streams), *shape)."""
    count = math.prod(shape)
    words = np.stack([stream.words(words_for(count)) for stream in streams])
    return normal(words, count).reshape(len(streams), *shape)


def uniform(words: Words) -> Tensor:
    """In [0, 1), float64, of the shape of `words`: their upper 53 bits."""
    return torch.from_numpy(np.asarray((words >> np.uint64(11)) * 2.0**-53))


def words_for(count: int) -> int:
    """How many words `normal` needs for `count` numbers."""
    return 2 * -(-count // 4)


def normal(words: Words, count: int) -> Tensor:
    """(..., count) float32, standard normal, from words (..., words_for(count)).

        r = sqrt(-2 log u),   u in (0, 1) of 31 bits;   a in [-pi, pi) of 32 bits
        draws: r cos a, then r sin a

    |draws| < 6.7: numbers beyond would come once in 4 * 10^10.
    """
    bits = torch.from_numpy(np.ascontiguousarray(words).view(np.int32))
    radius, angle = bits.chunk(2, dim=-1)
    u = radius.bitwise_and(2**31 - 1).float().add_(0.5).mul_(2.0**-31)
    r = u.clamp_(max=1.0).log_().mul_(-2.0).sqrt_()
    a = angle.float().mul_(math.pi * 2.0**-31)
    return torch.cat([r * a.cos(), r * a.sin()], dim=-1)[..., :count]
