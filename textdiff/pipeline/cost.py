"""What a picture costs, counted before it is drawn.

network   rows of the U-Net: at each step the candidates that take it, twice where
          classifier-free guidance needs both texts
guide     gradients of the CLIP that guides
judge     scores of the CLIP that chooses among candidates
"""

from __future__ import annotations

from dataclasses import dataclass

from textdiff.pipeline.clip_guide import guided_timesteps
from textdiff.pipeline.plan import DrawPlan
from textdiff.sampling.tournament import candidates_by_step, scores_given


@dataclass(frozen=True)
class Evaluations:
    """Of each kind, for one picture. Parts of the network that are kept from another step
    (`deep_cache_every`) count as evaluated."""

    network: int
    guide: int = 0
    judge: int = 0


def evaluations(plan: DrawPlan) -> Evaluations:
    """For each of the plan's pictures."""
    config, best_of = plan.config, plan.config.selection.best_of
    timesteps = plan.grid.tolist()
    candidates = candidates_by_step(best_of, plan.rounds, len(timesteps))
    guided = set() if plan.guide is None else guided_timesteps(plan.grid, config.clip_guidance)
    low, high = config.guidance_interval or (0, timesteps[-1])
    twice = config.guidance_scale != 1
    return Evaluations(
        network=sum(
            count * (2 if twice and low <= timestep <= high else 1)
            for timestep, count in zip(timesteps, candidates, strict=True)
        ),
        guide=sum(
            count
            for timestep, count in zip(timesteps, candidates, strict=True)
            if timestep in guided
        ),
        judge=scores_given(best_of, plan.rounds),
    )
