"""From ranks to accuracy, by class, and what is taken for what.

ranks ──► top-1, top-5, accuracy of each class, their mean
best classes, labels ──► counts (truth, taken for) ──► the most frequent pairs
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from textdiff.evaluation.per_item import values_by_item
from textdiff.evaluation.zero_shot.classes import Classes
from textdiff.evaluation.zero_shot.classify import Classified, Judged
from textdiff.evaluation.zero_shot.result import (
    Accuracies,
    ClassRate,
    Confused,
    Rate,
    UnjudgedResult,
    ZeroShotResult,
)
from textdiff.metrics.bootstrap import estimate_means
from textdiff.metrics.retrieval import chance_recall
from textdiff.metrics.zero_shot import ClassAccuracies, Labels, class_accuracies

MOST_CONFUSED = 100  # pairs that are kept

Counts = Int[Tensor, "classes classes"]  # (truth, taken for): pictures


def measure_accuracies(
    judged: Judged,
    counts: Counts,
    classes: Classes,
    *,
    pictures: Sequence[str],
    prompts_cut: int,
) -> ZeroShotResult:
    """counts: of `confusion`. pictures: (n,) their names. prompts_cut: of the classifier."""
    number = len(classes)
    hits = judged.ranks[:, None] <= torch.tensor([1, 5])
    top_1, top_5 = estimate_means(hits)
    by_class = class_accuracies(hits[:, 0], judged.labels)
    one_of = chance_recall(number, 1, 1)
    return ZeroShotResult(
        pictures=len(judged.labels),
        prompts_cut=prompts_cut,
        accuracies=Accuracies(
            Rate(top_1, one_of),
            Rate(by_class.mean, one_of),
            top_5=Rate(top_5, chance_recall(number, 1, 5)) if number > 5 else None,
        ),
        classes=class_rates(by_class, counts, classes),
        confused=most_confused(counts, classes.names),
        per_item={
            "pictures": values_by_item(pictures, {"rank": judged.ranks, "class": judged.labels})
        },
    )


def class_rates(by_class: ClassAccuracies, counts: Counts, classes: Classes) -> list[ClassRate]:
    """The worst first."""
    wrong = counts.clone().fill_diagonal_(0)
    rates = [
        ClassRate(
            name=classes.names[number],
            id=classes.ids[number],
            pictures=int(counts[number].sum()),
            accuracy=accuracy,
            taken_for=classes.names[int(row.argmax())] if (row := wrong[number]).any() else None,
        )
        for number, accuracy in zip(by_class.classes, by_class.each, strict=True)
    ]
    return sorted(rates, key=lambda rate: rate.accuracy.value)


def confusion(classified: Classified, judged: Judged, number: int) -> Counts:
    """Of C = `number` classes; the diagonal are the pictures that are right."""
    cells = judged.labels * number + taken_for(classified, judged)
    return torch.bincount(cells, minlength=number**2).view(number, number)


def taken_for(classified: Classified, judged: Judged) -> Labels:
    """The class that each picture is taken for: its best one, but where that is the right one and
    does not rank first: then another ties with it, and is the second."""
    first, second = classified.best[:, 0], classified.best[:, 1]
    tied = (first == judged.labels) & (judged.ranks > 1)
    return torch.where(tied, second, first)


def most_confused(counts: Counts, names: Sequence[str]) -> list[Confused]:
    """Pairs of classes, those with most pictures first; of as many, the larger share first."""
    wrong, totals = counts.clone().fill_diagonal_(0), counts.sum(dim=1).tolist()
    pairs = [
        Confused(names[truth], names[taken], pictures, pictures / totals[truth])
        for truth, taken in wrong.nonzero().tolist()
        if (pictures := int(wrong[truth, taken]))
    ]
    return sorted(pairs, key=lambda pair: (-pair.pictures, -pair.share))[:MOST_CONFUSED]


def count_first(classified: Classified, classes: Classes, prompts_cut: int) -> UnjudgedResult:
    """Where nothing says what is right."""
    counts = torch.bincount(classified.best[:, 0], minlength=len(classes))
    order = counts.sort(descending=True, stable=True).indices.tolist()
    first = {classes.names[number]: int(counts[number]) for number in order if counts[number]}
    return UnjudgedResult(len(classified.pictures), prompts_cut, first)
