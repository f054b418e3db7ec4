"""From features of pictures and captions, as evaluations keep them, to unit embeddings."""

from __future__ import annotations

import torch.nn.functional as F

from textdiff.clip import ClipModel
from textdiff.data import CaptionedImages
from textdiff.data.embeddings import Embeddings
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.protocol import data_protocol
from textdiff.evaluation.results import to_json
from textdiff.pipeline.prior.space import space_of
from textdiff.types import Features


def embeddings_of(features: CachedFeatures, clip: ClipModel, data: CaptionedImages) -> Embeddings:
    """Of all images of `data` that can be used, and of their distinct captions.

    features: by `clip`.

    Raises:
        DataError: too many images cannot be used, or features that are not finite.
    """
    images = features.of_split(data)
    texts = list(dict.fromkeys(text for texts in images.captions for text in texts))
    return Embeddings(
        image=unit(images.features),
        text=unit(features.of_captions(texts)),
        texts=texts,
        identifiers=[data.identifiers[position] for position in images.positions],
        splits=[data.splits[position] for position in images.positions],
        captions=images.captions,
        clip=features.protocol.name,
        space=space_of(clip),
        source=to_json(data_protocol(data)),
        attribution=data.attribution,
        bad={data.identifiers[index]: reason for index, reason in images.bad.items()},
    )


def unit(features: Features) -> Features:
    """(n, E) of length 1, rounded once."""
    return F.normalize(features.double(), dim=-1).float()
