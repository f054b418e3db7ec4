"""Best of N: several trajectories start for each picture, and a judge stops the weaker ones early.

    c_0 = N candidates start                                     N = best_of
    c_k = ceil(c_{k-1} / 2) go on after s_k steps                s_k = round(share_k S), of S steps
    the best of those that finish is kept

    steps taken for a picture    sum_k c_k (s_{k+1} - s_k),      s_0 = 0, s_{K+1} = S
    scores given for a picture   c_0 + ... + c_K                 those of one candidate left out

Early stopping by a CLIP that reads x_t: arXiv 2512.08505. The candidates of all pictures take their
steps together; what draws and what judges is handed in, so nothing here knows of networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textdiff.sampling.base import Step
from textdiff.sampling.config import most_halvings
from textdiff.types import PerSample

# the steps of these rows of all candidates that follow a step, which holds just them; None: the
# first ones
Draw = Callable[[list[int], Step | None], Iterator[Step]]
# a score for each sample of a finished step; higher is better
Judge = Callable[[Step], PerSample]


@dataclass(frozen=True)
class Round:
    """After the step at `index` of the grid, `keep` candidates of each picture go on."""

    index: int
    keep: int


def plan_rounds(best_of: int, keep_after: Sequence[float], num_steps: int) -> list[Round]:
    """A halving after each share of the steps, rounded, and the last choice, at index 0. Shares
    that come to the same step halve as often there.

    Raises:
        ValueError: more halvings than N candidates allow, or no step for them to follow.
    """
    if keep_after and num_steps < 2:
        raise ValueError(f"keep_after halves between steps, and there is {num_steps} alone")
    keep_at: dict[int, int] = {}
    keep = best_of
    for share in sorted(keep_after):
        if keep == 1:
            raise ValueError(
                f"keep_after names {len(keep_after)} halvings, and {best_of} candidates allow "
                f"{most_halvings(best_of)}"
            )
        keep = (keep + 1) // 2
        done = min(max(round(share * num_steps), 1), num_steps - 1)
        keep_at[num_steps - done] = keep
    return [Round(index, keep) for index, keep in {**keep_at, 0: 1}.items()]


def candidates_by_step(best_of: int, rounds: Sequence[Round], num_steps: int) -> list[int]:
    """How many candidates of a picture take the step at each index 0..S-1."""
    counts = [best_of] * num_steps
    for each in rounds:
        counts[: each.index] = [each.keep] * each.index
    return counts


def scores_given(best_of: int, rounds: Sequence[Round]) -> int:
    """How often the judge looks at a candidate of one picture; never where none can lose."""
    before = [best_of, *(each.keep for each in rounds)]
    return sum(n for n, each in zip(before, rounds, strict=False) if n > each.keep)


def best_places(
    scores: Float[Tensor, "candidates pictures"], keep: int
) -> Int[Tensor, "keep pictures"]:
    """Where the `keep` highest scores of each picture stand, the highest first; of equal ones the
    first comes first, and a score that is not a number comes last."""
    ranked = scores.double().nan_to_num(nan=-torch.inf).sort(dim=0, descending=True, stable=True)
    return ranked.indices[:keep]


def tournament(
    draw: Draw, judge: Judge, rounds: Sequence[Round], num_pictures: int, best_of: int
) -> Iterator[Step]:
    """Yields each step of the grid, of the best candidate of each picture by the last scores;
    before there are any, of the first one. The last one's x_t is the sample.

    Args:
        draw: of P pictures and N candidates; row j P + p is candidate j of picture p. However few
            are left, a step holds as many of each picture, the pictures in order: P rows, P rows.
        rounds: of `plan_rounds`.
    """
    pictures = torch.arange(num_pictures)
    alive = torch.arange(best_of * num_pictures).view(best_of, num_pictures)
    reached: Step | None = None
    for each in rounds:
        for step in draw(alive.flatten().tolist(), reached):
            reached = step
            if step.index == each.index:
                break
            yield step[:num_pictures]
        assert reached is not None
        if len(alive) > each.keep:
            scores = judge(reached).detach().cpu().view(alive.shape)
            place = best_places(scores, each.keep)
            reached = reached[(place * num_pictures + pictures).flatten().tolist()]
            alive = alive.gather(0, place)
        yield reached[:num_pictures]
