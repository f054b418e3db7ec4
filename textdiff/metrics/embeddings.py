"""How near drawn embeddings come to those of the images that they stand for.

cosine(z_hat, z)     to the image, to its text, to the image of another caption
R@k                  of z_hat as a query among all images; any image of its caption is right
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from textdiff.errors import DataError
from textdiff.metrics.retrieval import Ranking, image_text_retrieval

Rows = Float[Tensor, "n dim"]


def cosines(one: Rows, other: Rows) -> Float[Tensor, " n"]:
    """Of each row with the same row of the other."""
    return F.cosine_similarity(one.double(), other.double(), dim=1)


def of_another_caption(captions: Sequence[str]) -> Int[Tensor, " n"]:
    """For each row the next one, in a circle, whose caption is another.

    Raises:
        DataError: all captions are the same.
    """
    count = len(captions)
    if len(set(captions)) < 2:
        raise DataError(
            f"all {count} images have one caption; what is near to its own image and not to "
            "another's takes two or more"
        )
    found, next_other = [0] * count, 0
    for row in reversed(range(2 * count)):  # twice around, so that each has one behind it
        if captions[row % count] != captions[(row + 1) % count]:
            next_other = row + 1
        if row < count:
            found[row] = next_other % count
    return torch.tensor(found)


def search(drawn: Rows, images: Rows, captions: Sequence[str]) -> Ranking:
    """Ranks of each drawn embedding's right images; row k of all three belong together."""
    rows: dict[str, list[int]] = {}
    for row, caption in enumerate(captions):
        rows.setdefault(caption, []).append(row)
    pairs = [(image, text) for text, caption in enumerate(captions) for image in rows[caption]]
    image_of_text, text_of_image = torch.tensor(pairs).T
    return image_text_retrieval(images, drawn, image_of_text, text_of_image).text_to_image
