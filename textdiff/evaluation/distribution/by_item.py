"""What the means of a comparison are over, picture by picture, so that two files are compared in
pairs.

    precision, density, copied, nearest    of each drawn picture, by its prompt
    diversity                              of each prompt
    recall, coverage                       of each real picture

Frechet distance, KID and CMMD are no means: of them there is nothing to write down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Shaped
from torch import Tensor

from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.evaluation.per_item import PerItem, values_by_item
from textdiff.metrics.neighbours import Neighbourhood

DRAWN, PROMPTS, REAL = "drawn pictures", "prompts", "real pictures"


@dataclass(frozen=True)
class ItemNames:
    """prompts: (n,) of the drawn pictures; None: some have none. real: (m,) of the real ones."""

    prompts: Sequence[str] | None
    real: Sequence[str]


def item_names(drawn: FeatureSet, real: FeatureSet) -> ItemNames:
    """Prompts, and positions in the real split."""
    prompts = None if drawn.without_caption else drawn.prompts
    return ItemNames(prompts, [str(position) for position in real.positions])


@dataclass(frozen=True)
class Nearness:
    """similarity: (n,) cosine of each drawn picture to the nearest training picture. threshold:
    beyond which it is a copy; None: not known."""

    similarity: Float[Tensor, " n"]
    threshold: float | None


def items_of(
    names: ItemNames,
    *,
    around: Neighbourhood | None,
    nearness: Nearness | None,
    diversities: Float[Tensor, " prompts"] | None,
) -> dict[str, PerItem]:
    """Of what there is; None: of nothing."""
    found: dict[str, PerItem] = {}
    if around is not None:
        covered = {"recall": around.recalled, "coverage": around.covered}
        found[REAL] = values_by_item(names.real, covered)
    if names.prompts is None:
        return found
    of_drawn: dict[str, Shaped[Tensor, " n"]] = {}
    if around is not None:
        of_drawn |= {"precision": around.precise, "density": around.density}
    if nearness is not None:
        of_drawn["nearest"] = nearness.similarity
        if nearness.threshold is not None:
            of_drawn["copied"] = nearness.similarity > nearness.threshold
    if of_drawn:
        found[DRAWN] = values_by_item(names.prompts, of_drawn)
    if diversities is not None:
        prompts = list(dict.fromkeys(names.prompts))
        found[PROMPTS] = values_by_item(prompts, {"diversity": diversities})
    return found
