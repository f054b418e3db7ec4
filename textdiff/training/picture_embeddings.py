"""CLIP embeddings of the pictures of each split, as an unCLIP decoder is trained on them.

'textdiff embed' ── read_embeddings ──► PictureEmbeddings ── of(split, ids) ──► Conditioning.image

They are scaled to norm sqrt(E), so that a coordinate has size 1 as those of x_T have; 0 stands for
"no picture is known".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from textdiff.types import Conditioning, Features


@dataclass(frozen=True)
class PictureEmbeddings:
    """by_split: name of a split -> z_i of its pictures in order, (n, E) of norm sqrt(E)."""

    by_split: Mapping[str, Features]

    @property
    def dim(self) -> int:
        """E."""
        return next(iter(self.by_split.values())).shape[1]

    def of(
        self,
        split: str,
        ids: Sequence[int] | Tensor,
        dropped: Sequence[bool] | None = None,
    ) -> Features:
        """(B, E) of these pictures of a split; 0 where `dropped`."""
        chosen = self.by_split[split][torch.as_tensor(ids)]
        if dropped is not None:
            chosen = chosen.masked_fill(torch.tensor(dropped)[:, None], 0)
        return chosen

    def beside(self, text: Conditioning, image: Features) -> Conditioning:
        """`text` with `image` (B, E), where the text is."""
        return replace(text, image=image.to(text.tokens.device))
