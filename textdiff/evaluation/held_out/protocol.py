"""What scores by CLIPs that took no part depend on: the prompts, and the real pictures beside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from textdiff.clip import ClipModel
from textdiff.evaluation.results import Key


@dataclass(frozen=True)
class PromptProtocol:
    """captions_cut: how many prompts are too long, by evaluator."""

    count: int
    seed: int
    sha256: str
    pictures_of_each: int
    captions_cut: dict[str, int]


@dataclass(frozen=True)
class ReferenceProtocol:
    """The real pictures that drawn ones should be close to. pictures: how many."""

    split: str
    pictures: int
    left_out: str = "pictures of the prompts"


@dataclass(frozen=True)
class Chance:
    """What random order gives."""

    at_1: Annotated[float, Key("R@1")]
    at_5: Annotated[float, Key("R@5")]


def prompt_protocol(
    prompts: Sequence[str], seed: int, per_prompt: int, evaluators: Mapping[str, ClipModel]
) -> PromptProtocol:
    return PromptProtocol(
        count=len(prompts),
        seed=seed,
        sha256=hashlib.sha256("\n".join(prompts).encode()).hexdigest(),
        pictures_of_each=per_prompt,
        captions_cut={
            name: clip.tokenize(list(prompts)).num_truncated for name, clip in evaluators.items()
        },
    )


def chance_of(prompts: int) -> Chance:
    """Among so many prompts."""
    return Chance(min(1.0, 1 / prompts), min(1.0, 5 / prompts))
