"""Byte-pair merges of a word in O(n log n), where open_clip's tokenizer takes O(n^2) and more.

    lowest-ranked pair of neighbours -> merged, a new pair with each neighbour -> ... -> none left

A caption without spaces, of thousands of letters, is one word. The result is the same: a merge's
rank is above those of the merges that made its two halves, so that a pair made by a merge never
comes before another occurrence of that merge's own pair.
"""

from __future__ import annotations

import heapq
from typing import Any

END = "</w>"


def merge_quickly(tokenizer: Any) -> None:
    """Lets an `open_clip.SimpleTokenizer` merge by `merged`; others stay as they are."""
    ranks, cache = getattr(tokenizer, "bpe_ranks", None), getattr(tokenizer, "cache", None)
    if ranks is None or cache is None:
        return

    def bpe(word: str) -> str:
        if word not in cache:
            cache[word] = " ".join(merged([*word[:-1], word[-1] + END], ranks))
        return str(cache[word])

    tokenizer.bpe = bpe


def merged(letters: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """The tokens of a word.

    Args:
        ranks: of the pairs that may be merged, lowest first.
    """
    parts: list[str | None] = list(letters)  # None: part of one further left
    end = len(parts)
    after, before = list(range(1, end + 1)), list(range(-1, end - 1))
    heap: list[tuple[int, int, str, str]] = []

    def offer(left: int) -> None:
        if left < 0 or after[left] >= end:
            return
        pair = parts[left], parts[after[left]]
        if pair[0] is not None and pair[1] is not None and (pair[0], pair[1]) in ranks:
            heapq.heappush(heap, (ranks[pair[0], pair[1]], left, pair[0], pair[1]))

    for left in range(end):
        offer(left)
    while heap:
        _, left, first, second = heapq.heappop(heap)
        right = after[left]
        if parts[left] != first or right >= end or parts[right] != second:
            continue  # one of the two went into another merge
        parts[left], parts[right] = first + second, None
        after[left] = after[right]
        if after[left] < end:
            before[after[left]] = left
        offer(before[left])
        offer(left)
    return [part for part in parts if part is not None]
