"""Features of more pictures than fit into memory.

    rows ── chunks ──► decode, a chunk ahead ──► encode ──► features and digest of each picture

Only two chunks of pictures are in memory. Equal pictures, by their digests, get equal features, to
the bit, wherever they stand; ties among them are then true ties.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from tqdm import tqdm

from textdiff.cores import usable_cores
from textdiff.data import CaptionedImages
from textdiff.data.decode import BadImage
from textdiff.errors import DataError
from textdiff.evaluation.features.extractor import Extractor
from textdiff.evaluation.features.finite import check_finite
from textdiff.evaluation.features.ranks import Ranks
from textdiff.types import Features, Pictures

DIGEST_SIZE = 16
Digests = UInt8[Tensor, "n 16"]

Chunk = tuple[list[int], Pictures]  # positions of pictures among all that were asked for
Reader = Callable[[Sequence[range]], Iterator[Chunk]]


@dataclass(frozen=True)
class Encoded:
    """positions: which of the pictures that were asked for could be used, n of them, ascending.

    features: (n, D) float32. digests: (n, 16) of their pixels.
    """

    positions: list[int]
    features: Features
    digests: Digests


def encode_split(
    extractor: Extractor, data: CaptionedImages, indices: Sequence[int], ranks: Ranks
) -> Encoded:
    """Of the images of a split with these indices; those that cannot be used are left out, and
    known to `data` afterwards.

    Raises:
        DataError: too many cannot be used. CheckpointError: features that are not finite.
    """
    bad: dict[int, str] = {}

    def read(chunks: Sequence[range]) -> Iterator[Chunk]:
        for chunk, results in decoded_ahead(data, [[indices[k] for k in c] for c in chunks]):
            good = {}
            for index, result in zip(chunk, results, strict=True):
                if isinstance(result, str):
                    bad[index] = result
                    data.note_bad({index: result})
                else:
                    good[index] = result
            if good:
                yield [position[index] for index in good], torch.stack(list(good.values()))

    position = {index: k for k, index in enumerate(indices)}
    encoded = encode_chunks(extractor, len(indices), read, ranks)
    data.note_bad(ranks.merged(bad))
    if not encoded.positions:
        raise DataError(f"{data.name}: no image of split '{data.split}' can be used")
    return encoded


def encode_pictures(extractor: Extractor, images: Pictures, ranks: Ranks) -> Encoded:
    """Of pictures in memory. Raises CheckpointError where features are not finite."""

    def read(chunks: Sequence[range]) -> Iterator[Chunk]:
        for chunk in chunks:
            yield list(chunk), images[chunk.start : chunk.stop]

    return encode_chunks(extractor, len(images), read, ranks)


def encode_chunks(extractor: Extractor, count: int, read: Reader, ranks: Ranks) -> Encoded:
    """Of `count` pictures. read: yields the usable pictures of each of some chunks."""
    size, name = extractor.batch_size, extractor.protocol.name
    features = torch.zeros(count, extractor.protocol.dim)
    digests = torch.zeros(count, DIGEST_SIZE, dtype=torch.uint8)
    usable = torch.zeros(count, dtype=torch.uint8)
    chunks = [range(start, min(start + size, count)) for start in range(0, count, size)]
    own = [chunk for number, chunk in enumerate(chunks) if ranks.owns(number)]
    with tqdm(
        total=sum(map(len, own)),
        desc=f"features by {name}",
        unit="picture",
        leave=False,
        disable=None if ranks.is_main else True,
    ) as bar:
        for positions, images in read(own):
            features[positions] = extractor.encode(images)
            digests[positions] = digests_of(images)
            usable[positions] = 1
            bar.update(len(positions))
            del images  # or it would stay while the next ones are decoded
    features, digests, usable = (ranks.sum(part) for part in (features, digests, usable))
    kept = usable.bool().nonzero()[:, 0]
    features, digests = features[kept], digests[kept]
    features = features[first_of_equal(digests)]
    check_finite(features, name)
    return Encoded(kept.tolist(), features, digests)


def digests_of(images: Pictures) -> Digests:
    """(n, 16) of each picture's pixels and size."""
    shape = str(tuple(images.shape[1:])).encode()
    rows = [
        hashlib.blake2b(image.numpy().tobytes(), digest_size=DIGEST_SIZE, salt=shape[-16:]).digest()
        for image in images.cpu().contiguous()
    ]
    return torch.frombuffer(bytearray(b"".join(rows)), dtype=torch.uint8).view(-1, DIGEST_SIZE)


def first_of_equal(digests: Digests) -> Int[Tensor, " n"]:
    """For each row the first one that equals it."""
    first: dict[bytes, int] = {}
    rows = [first.setdefault(row.numpy().tobytes(), k) for k, row in enumerate(digests)]
    return torch.tensor(rows, dtype=torch.long)


def decoded_ahead(
    data: CaptionedImages, chunks: Sequence[Sequence[int]]
) -> Iterator[tuple[Sequence[int], list[Tensor | str]]]:
    """Each chunk of indices with its images (3, S, S), or why one cannot be used; the next chunk is
    decoded on all cores meanwhile."""

    def attempt(index: int) -> Tensor | str:
        try:
            return data.image(index)
        except BadImage as error:
            return error.reason

    with ThreadPoolExecutor(usable_cores()) as pool:

        def start(chunk: Sequence[int]) -> list[Future[Tensor | str]]:
            return [pool.submit(attempt, index) for index in chunk]

        ahead = start(chunks[0]) if chunks else []
        for number, chunk in enumerate(chunks):
            current = ahead
            ahead = start(chunks[number + 1]) if number + 1 < len(chunks) else []
            yield chunk, [future.result() for future in current]
            del current
