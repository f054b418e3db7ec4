"""Pictures among classes.

prompts of each class ── text tower ──► w_c
pictures ── image tower, a chunk at a time ──► logits ──► best classes, probabilities, ranks
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textdiff.clip import ClipModel
from textdiff.clip.features import text_features
from textdiff.evaluation.features.finite import check_finite
from textdiff.evaluation.zero_shot.classes import Classes
from textdiff.evaluation.zero_shot.prompts import Prompts
from textdiff.evaluation.zero_shot.truth import Truth
from textdiff.metrics.zero_shot import (
    Labels,
    Weights,
    class_weights,
    zero_shot_logits,
    zero_shot_ranks,
)
from textdiff.types import Features

PROMPTS_AT_ONCE = 2048


@dataclass(frozen=True)
class Classifier:
    """weights: (C, D) of each class. prompts_cut: how many distinct prompts the tower saw cut."""

    classes: Classes
    weights: Weights
    prompts_cut: int


@dataclass(frozen=True)
class Judged:
    """labels: (n,) the right class of each picture. ranks: (n,) its rank, 1 the best."""

    labels: Labels
    ranks: Labels


@dataclass(frozen=True)
class Classified:
    """Of n pictures: their indices in the data, the k best classes of each and their probabilities
    among all; judged: None without a truth."""

    pictures: list[int]
    best: Int[Tensor, "n k"]
    probabilities: Float[Tensor, "n k"]
    judged: Judged | None


def build_classifier(
    clip: ClipModel, classes: Classes, prompts: Prompts, name: str = "CLIP"
) -> Classifier:
    """Classes of the same prompts have the same weight, to the bit. name: what the user calls the
    CLIP.

    Raises:
        CheckpointError: features that are not finite.
    """
    number = {texts: k for k, texts in enumerate(dict.fromkeys(prompts.texts))}
    distinct = list(number)
    at_once = max(1, PROMPTS_AT_ONCE // len(distinct[0]))
    weights, cut = [], 0
    for start in range(0, len(distinct), at_once):
        group = distinct[start : start + at_once]
        flat = [text for texts in group for text in texts]
        features = text_features(clip, flat)
        check_finite(features, name)
        weights.append(class_weights(features.unflatten(0, (len(group), -1))))
        cut += clip.tokenize(flat).num_truncated
    which = torch.tensor([number[texts] for texts in prompts.texts])
    return Classifier(classes, torch.cat(weights)[which], cut)


def classify(
    features: Iterable[tuple[list[int], Features]], classifier: Classifier, truth: Truth, top: int
) -> Classified:
    """Every picture among all classes.

    Args:
        features: indices of one or more pictures and their features, chunk by chunk.
        top: best classes to keep; fewer where there are fewer classes.
    """
    pictures: list[int] = []
    best, probabilities, labels, ranks = [], [], [], []
    for indices, chunk in features:
        logits = zero_shot_logits(chunk, classifier.weights)
        order = logits.sort(dim=1, descending=True, stable=True).indices[:, :top]
        pictures += indices
        best.append(order)
        probabilities.append(logits.softmax(dim=1).gather(1, order))
        if truth.labels is not None:
            labels.append(truth.labels[indices])
            ranks.append(zero_shot_ranks(logits, labels[-1], classifier.classes.name_numbers))
    judged = Judged(torch.cat(labels), torch.cat(ranks)) if labels else None
    return Classified(pictures, torch.cat(best), torch.cat(probabilities), judged)
