"""The table of `textdiff prior`."""

from __future__ import annotations

from textdiff.evaluation.prior.result import Nearness, PriorResult
from textdiff.evaluation.tables import print_notes, print_table
from textdiff.metrics.bootstrap import Estimate
from textdiff.metrics.sample_size import too_few

COLUMNS = ["", "to the image", "to its text", "to another's", "R@1", "R@5", "R@10"]


def print_nearness(result: PriorResult, source: str) -> None:
    """A row per kind of embedding, chance below. source: whose images."""
    rows = [[name, *cells(nearness)] for name, nearness in result.results.items()]
    nearness = next(iter(result.results.values()))
    chances = [f"{rate.chance:.1%}" for rate in nearness.rates.by_k().values()]
    rows.append(["chance", "", "", "", *chances])
    title = (
        f"Embeddings for {result.searched} images of {source}: cosines, and how often they find "
        "an image of their caption (95% interval)"
    )
    print_table(title, COLUMNS, rows)
    found = result.image_to_text.at_1.recall
    print(f"images themselves among the {result.captions} captions: R@1 {share(found)}")
    print_notes(too_few("mean", result.captions))


def cells(nearness: Nearness) -> list[str]:
    each = (nearness.cosine, nearness.cosine_of_text, nearness.cosine_of_another)
    rates = [share(rate.recall) for rate in nearness.rates.by_k().values()]
    return [*map(cosine, each), *rates]


def cosine(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def share(estimate: Estimate) -> str:
    return f"{estimate.value:.1%} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"
