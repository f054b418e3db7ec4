"""CLIP embeddings of the pictures of each split, as an unCLIP decoder is trained on them.

file of `textdiff embed` ── load ──► PictureEmbeddings ── of(split, ids) ──► Conditioning.image

They are scaled to norm sqrt(E), so that a coordinate has size 1 as those of x_T have; 0 stands for
"no picture is known".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from textdiff.clip.model import ClipModel
from textdiff.data.base import CaptionedImages
from textdiff.data.embedding_space import check_same_space
from textdiff.data.embeddings import Embeddings, read_embeddings
from textdiff.data.text import shown
from textdiff.embeddings import scaled_feature
from textdiff.errors import DataError
from textdiff.pipeline.prior.space import space_of
from textdiff.types import Conditioning, Features


@dataclass(frozen=True)
class PictureEmbeddings:
    """by_split: name of a split -> z_i of its pictures in order, (n, E) of norm sqrt(E); 0 where a
    picture could not be read, for which another takes its place."""

    by_split: Mapping[str, Features]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all of them."""
        content = hashlib.sha256()
        for split, features in sorted(self.by_split.items()):
            content.update(split.encode() + features.numpy().tobytes())
        return content.hexdigest()

    def of(
        self, split: str, ids: Sequence[int] | Tensor, dropped: Sequence[bool] | None = None
    ) -> Features:
        """(B, E) of these pictures of a split; 0 where `dropped`."""
        chosen = self.by_split[split][torch.as_tensor(ids, dtype=torch.long)]
        if dropped is not None:
            chosen = chosen.masked_fill(torch.tensor(dropped)[:, None], 0)
        return chosen

    def beside(self, text: Conditioning, image: Features) -> Conditioning:
        """`text` with `image` (B, E), where the text is."""
        return replace(text, image=image.to(text.tokens.device))


def load_picture_embeddings(
    path: str, clip: ClipModel, splits: Sequence[CaptionedImages]
) -> PictureEmbeddings:
    """Those that a file has of the pictures of these splits.

    Raises:
        UsageError: it is of another CLIP. DataError: the file cannot be used, or is of other data.
    """
    embeddings = read_embeddings(path)
    check_same_space(f"--embeddings {path}", embeddings.space, "--clip", space_of(clip))
    return PictureEmbeddings({data.split: _of_split(path, embeddings, data) for data in splits})


def _of_split(path: str, embeddings: Embeddings, data: CaptionedImages) -> Features:
    known = [name not in embeddings.bad for name in data.identifiers]
    names = [name for name, there in zip(data.identifiers, known, strict=True) if there]
    rows = embeddings.rows_of(names)
    captions = [texts for texts, there in zip(data.captions, known, strict=True) if there]
    for name, row, texts in zip(names, rows, captions, strict=True):
        if embeddings.captions[row] != list(texts):
            raise DataError(
                f"--embeddings {path} is of other data than --data: the captions of {shown(name)} "
                "differ; embed the data as they are now"
            )
    features = torch.zeros(len(data), embeddings.image.shape[1])
    features[torch.tensor(known)] = scaled_feature(embeddings.image[rows])
    return features
