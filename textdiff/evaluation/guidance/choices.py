"""Best of N in a sweep: the CLIPs that choose, and what each choice is compared with.

A choice among N candidates costs more than one picture. So beside it stands its rival: the same
guidance alone, in so many more steps that the network is evaluated as often.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from textdiff.clip import ClipModel, NoisedClip
from textdiff.errors import UsageError
from textdiff.evaluation.evaluators import hashes_of
from textdiff.evaluation.guidance.sweep import Choice, Scales
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.cost import evaluations
from textdiff.pipeline.sections import SelectionConfig

A_PROMPT = ["a"]  # what a picture costs does not depend on its prompt


@dataclass(frozen=True)
class Chooser:
    """A CLIP that chooses. name: its folder. keep_after: when weaker candidates stop; (): never."""

    name: str
    clip: ClipModel | NoisedClip
    keep_after: tuple[float, ...] = ()


def find_choosers(
    pipe: TextToImage,
    *,
    final: Sequence[str],
    early: Sequence[str],
    keep_after: Sequence[float],
    best_of: Sequence[int],
    config: SamplingConfig,
) -> list[Chooser]:
    """Those that choose among finished candidates, and those that stop some early.

    Raises:
        UsageError: one that cannot choose among the model's pictures. CheckpointError: no CLIP.
    """
    shares = {(name, ()): None for name in final} | {
        (name, tuple(keep_after)): None for name in early
    }
    found = []
    for name, when in shares:
        selection = SelectionConfig(best_of=max(best_of), judge=name, keep_after=when)
        clip = pipe.judge(A_PROMPT, config.model_copy(update={"selection": selection}))
        assert clip is not None
        found.append(Chooser(name, clip, when))
    return found


def involved_choosers(choosers: Sequence[Chooser]) -> dict[str, str]:
    """What each does, in words, by the hashes that `hashes_of` gives."""
    return {
        weights: f"the CLIP that chooses among candidates, {each.name}"
        for each in choosers
        for weights in hashes_of(each.clip)
    }


def choice_grid(
    pipe: TextToImage,
    config: SamplingConfig,
    scales: Sequence[float],
    best_of: Sequence[int],
    choosers: Sequence[Chooser],
) -> list[Scales]:
    """Each choice at each scale of classifier-free guidance, its rival before it; without guidance
    by CLIP.

    Raises:
        UsageError: settings that the model cannot follow; timesteps one by one, to which no rival
            can add.
    """
    if choosers and config.timesteps is not None:
        raise UsageError(
            "timesteps with best_of: what it is compared with takes more steps; give num_steps"
        )
    found: dict[Scales, None] = {}
    for guidance in scales:
        for count in best_of:
            for chooser in choosers:
                choice = _choice(pipe, config, guidance, count, chooser)
                found[Scales(guidance, 0, num_steps=choice.rival_steps)] = None
                found[Scales(guidance, 0, choice)] = None
    return list(found)


def _choice(
    pipe: TextToImage, config: SamplingConfig, guidance: float, count: int, chooser: Chooser
) -> Choice:
    choice = Choice(
        best_of=count,
        judge=chooser.name,
        reads="noised CLIP" if isinstance(chooser.clip, NoisedClip) else "clean CLIP",
        weights=chooser.clip.weights_hash(),
        keep_after=chooser.keep_after,
        rival_steps=config.num_steps,
    )
    cost = network_evaluations(pipe, config, Scales(guidance, 0, choice))
    return replace(choice, rival_steps=rival_steps(pipe, config, guidance, cost))


def rival_steps(pipe: TextToImage, config: SamplingConfig, guidance: float, cost: int) -> int:
    """Fewest steps of guidance alone that evaluate the network `cost` times or more; at most all
    timesteps."""
    most = pipe.schedule.num_timesteps

    def cost_of(steps: int) -> int:
        return network_evaluations(pipe, config, Scales(guidance, 0, num_steps=steps))

    return min(most, 1 + bisect_left(range(1, most + 1), cost, key=cost_of))


def network_evaluations(pipe: TextToImage, config: SamplingConfig, scales: Scales) -> int:
    """For one picture."""
    return evaluations(pipe.plan(A_PROMPT, config_of(config, scales))).network


def config_of(config: SamplingConfig, scales: Scales) -> SamplingConfig:
    """`config` at these scales."""
    update: dict[str, object] = {}
    if scales.num_steps is not None:
        update["num_steps"] = scales.num_steps
    if scales.choice is not None:
        update["selection"] = SelectionConfig(
            best_of=scales.choice.best_of,
            judge=scales.choice.judge,
            keep_after=scales.choice.keep_after,
        )
    return config.with_scales(scales.guidance, scales.clip).model_copy(update=update)
