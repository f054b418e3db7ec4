"""Embeddings for captions, compared with those of the images.

    z_hat of each caption ──► cosine to z_i, z_t, and z_i of another caption;  R@k among all z_i
    beside it: z_t used as z_i, the mean of training, and z_i itself

Images of one caption are drawn again together by the bootstrap: what a prior draws for them differs
by its noise alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.checkpoint import weights_hash
from textdiff.data.embeddings import EmbeddedImages
from textdiff.errors import DataError
from textdiff.evaluation.per_item import values_by_item
from textdiff.evaluation.prior.result import (
    EmbeddingsProtocol,
    Nearness,
    PriorModelProtocol,
    PriorResult,
)
from textdiff.evaluation.retrieval.measure import rates_of
from textdiff.metrics.bootstrap import estimate_means
from textdiff.metrics.embeddings import cosines, of_another_caption, search
from textdiff.metrics.features import distinct_captions
from textdiff.metrics.retrieval import Ranking, image_text_retrieval
from textdiff.pipeline.prior.config import EmbeddingSampling, PriorSampling
from textdiff.pipeline.prior.prior import Prior
from textdiff.sampling.best_of import best_of
from textdiff.types import Features


@dataclass(frozen=True)
class Rows:
    """Images of a split with their first captions.

    images, texts: (n, E) unit embeddings. mean: (E,) of the training images.
    """

    identifiers: list[str]
    captions: list[str]
    images: Features
    texts: Features
    mean: Tensor

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def groups(self) -> Tensor:
        """(n,) number of each row's caption."""
        number = {caption: k for k, caption in enumerate(dict.fromkeys(self.captions))}
        return torch.tensor([number[caption] for caption in self.captions])


def rows_of(data: EmbeddedImages, limit: int | None) -> Rows:
    """The first `limit` (None: all).

    Raises:
        DataError: an image without a caption.
    """
    count = min(len(data), limit or len(data))
    lonely = [row for row in range(count) if not any(data.captions[row])]
    if lonely:
        raise DataError(
            f"{len(lonely)} of {count} images have no caption, the first is number {lonely[0]}; "
            "what a prior draws for takes one for each"
        )
    captions = [texts[0] for texts in data.captions[:count]]
    embeddings = data.embeddings
    return Rows(
        data.identifiers[:count],
        captions,
        data.image[:count],
        embeddings.text_of(captions),
        embeddings.mean,
    )


def draw_best(
    prior: Prior, captions: Sequence[str], counts: Sequence[int], config: EmbeddingSampling
) -> dict[str, Features]:
    """Unit embeddings (n, E) by "best of N" for each N of `counts`, all among the same draws.

    Raises:
        UsageError: more steps than the prior's schedule has.
    """
    values = {name: getattr(config, name) for name in EmbeddingSampling.model_fields}
    how = PriorSampling(num_candidates=max(counts), **values)
    drawn = prior.candidates(captions, how).cpu()
    text = prior.text_embeddings(captions).cpu()
    return {f"best of {n}": best_of(drawn[:, :n], text) for n in sorted(set(counts))}


def measure_prior(rows: Rows, drawn: Mapping[str, Features]) -> PriorResult:
    """drawn: (n, E) each, by name.

    Raises:
        DataError: fewer than two images, or all of one caption.
    """
    if len(rows) < 2:
        raise DataError(f"{len(rows)} image to search among; a prior's evaluation needs two")
    others = rows.images[of_another_caption(rows.captions)]
    beside = {
        "text embedding": rows.texts,
        "mean embedding": F.normalize(rows.mean, dim=0).expand_as(rows.images).contiguous(),
        "image itself": rows.images,
    }
    results, per_item = {}, {}
    for name, embeddings in {**drawn, **beside}.items():
        values = torch.stack(
            [cosines(embeddings, target) for target in (rows.images, rows.texts, others)], dim=1
        )
        ranking = search(embeddings, rows.images, rows.captions)
        results[name] = nearness_of(values, ranking, rows.groups)
        per_item[name] = values_by_item(
            rows.identifiers,
            {
                "cosine": values[:, 0],
                "cosine of text": values[:, 1],
                "cosine of another": values[:, 2],
                "rank": ranking.ranks,
            },
        )
    texts = distinct_captions([[caption] for caption in rows.captions])
    first = [rows.captions.index(text) for text in texts.texts]
    found = image_text_retrieval(rows.images, rows.texts[first], texts.image, texts.text)
    return PriorResult(
        searched=len(rows),
        captions=len(texts.texts),
        results=results,
        image_to_text=rates_of(found.image_to_text, rows.groups),
        per_item=per_item,
    )


def nearness_of(values: Tensor, ranking: Ranking, groups: Tensor) -> Nearness:
    """values: (n, 3) cosines to image, text and another image. groups: (n,) what is resampled."""
    to_image, to_text, to_another = estimate_means(values, groups)
    return Nearness(to_image, to_text, to_another, rates_of(ranking, groups))


def prior_protocol(name: str, prior: Prior) -> PriorModelProtocol:
    """name: what the user called it."""
    return PriorModelProtocol(
        name=name,
        kind=prior.config.kind,
        step=prior.step,
        weights=weights_hash(prior.network),
        clip=prior.config.space.clip_weights,
    )


def embeddings_protocol(data: EmbeddedImages, rows: Rows) -> EmbeddingsProtocol:
    return EmbeddingsProtocol(
        split=data.split,
        images=len(rows),
        fingerprint=data.fingerprint,
        data=dict(data.embeddings.source),
    )
