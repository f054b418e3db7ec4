"""What is known of each evaluation, so that two files of it can be compared.

metric of a file ──► Kind ──► what must agree, what is compared, the numbers of single items
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from textdiff.evaluation.clip_score.measure import ClipScoreProtocol
from textdiff.evaluation.compare.items import (
    bounds_by_picture,
    choosers,
    rates_by_prompt,
    scores_of_routes,
    scores_of_settings,
    stored,
)
from textdiff.evaluation.composition.result import CompositionProtocol
from textdiff.evaluation.distribution.result import DistributionProtocol
from textdiff.evaluation.guidance.sweep import SweepProtocol
from textdiff.evaluation.held_out.scores import JudgedScores
from textdiff.evaluation.inversion.result import InversionProtocol
from textdiff.evaluation.likelihood.result import LikelihoodProtocol
from textdiff.evaluation.noised_clip.result import NoisedClipProtocol
from textdiff.evaluation.per_item import PerItem
from textdiff.evaluation.prior.result import PriorProtocol
from textdiff.evaluation.prompt_following.measure import PromptFollowingProtocol
from textdiff.evaluation.retrieval.measure import RetrievalProtocol
from textdiff.evaluation.unclip.result import UnclipProtocol
from textdiff.evaluation.vae.result import VaeProtocol
from textdiff.evaluation.zero_shot.result import ZeroShotProtocol


@dataclass(frozen=True)
class Quantity:
    """A number made of values per item.

    at_most: values up to this count 1, others 0, as ranks do; None: values count as they are.
    strata: another value, of whose groups it is the mean; None: the mean over all.
    """

    name: str
    at_most: int | None = None
    strata: str | None = None


def recalls(*ks: int) -> dict[str, tuple[Quantity, ...]]:
    return {"rank": tuple(Quantity(f"R@{k}", at_most=k) for k in ks)}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """An evaluation.

    command: that writes its files. protocol: the type of what they begin with.
    subject: dotted keys that are what one compares, and may differ.
    given: those of them that are so where no model drew the pictures.
    also: dotted keys of the result that the numbers depend on as on the protocol.
    beside: dotted keys of the protocol that follow from others, or change no number.
    more: further settings, from the content. scores: by CLIPs that took no part, whose distances
        are compared in pairs, by group.
    row: what a row is called. digits: format of its numbers.
    quantities: by value; others are their own. unpaired: keys of further numbers, by name.
    """

    command: str
    protocol: type
    subject: tuple[str, ...]
    given: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    row: str
    digits: str = ".1%"
    quantities: Mapping[str, tuple[Quantity, ...]] = field(default_factory=dict)
    unpaired: Mapping[str, str] = field(default_factory=dict)
    items: Callable[[Mapping[str, Any]], dict[str, PerItem]] = stored
    more: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda content: {}
    scores: Callable[[Mapping[str, Any]], dict[str, JudgedScores]] = lambda content: {}

    def quantities_of(self, value: str) -> tuple[Quantity, ...]:
        return self.quantities.get(value, (Quantity(value),))


DRAWN = ("model", "sampling")
GIVEN = tuple(f"data.{name}" for name in ("source", "split", "images", "fingerprint", *DRAWN))
METRICS = ("frechet", "kid", "cmmd", "precision", "recall", "density", "coverage")

KINDS = (
    Kind(
        command="clip-score",
        protocol=ClipScoreProtocol,
        subject=DRAWN,
        given=GIVEN,
        also=("weight",),
        row="{group} pictures",
        digits=".2f",
    ),
    Kind(
        command="prompt-following",
        protocol=PromptFollowingProtocol,
        subject=DRAWN,
        also=("prompts",),
        row="{group} pictures {name}",
        quantities=recalls(1, 5),
    ),
    Kind(
        command="retrieval",
        protocol=RetrievalProtocol,
        subject=("clip",),
        also=("searched", "captions"),
        row="{group} {name}",
        quantities=recalls(1, 5, 10),
    ),
    Kind(
        command="classify",
        protocol=ZeroShotProtocol,
        subject=("clip",),
        row="{name}",
        quantities={
            "rank": (
                Quantity("top-1", at_most=1),
                Quantity("top-5", at_most=5),
                Quantity("mean per class", at_most=1, strata="class"),
            ),
            "class": (),
        },
    ),
    Kind(
        command="composition",
        protocol=CompositionProtocol,
        subject=(*DRAWN, "num_images"),
        row="{group} {name}",
    ),
    Kind(
        command="distribution",
        protocol=DistributionProtocol,
        subject=(*DRAWN, "pictures"),
        also=("drawn.pictures", "drawn.real"),
        row="{name}",
        digits=".3f",
        unpaired={
            **{name: f"drawn.{name}" for name in METRICS},
            "diversity": "diversity",
            "copied": "copying",
        },
    ),
    Kind(
        command="inversion",
        protocol=InversionProtocol,
        subject=("model",),
        row="{group} steps, {name}",
        digits=".2f",
    ),
    Kind(
        command="likelihood",
        protocol=LikelihoodProtocol,
        subject=("model", "process", "variance", "timesteps"),
        also=("variance", "timesteps", "num_steps", "timesteps_per_picture", "clip_denoised"),
        row="{name}, bits/dim",
        digits=".4f",
        items=bounds_by_picture,
    ),
    Kind(
        command="prior",
        protocol=PriorProtocol,
        subject=("prior", "sampling"),
        also=("searched", "captions"),
        row="{group}: {name}",
        digits=".3f",
        quantities=recalls(1, 5, 10),
    ),
    Kind(
        command="noised-clip",
        protocol=NoisedClipProtocol,
        subject=("noised", "clean"),
        also=("timesteps", "searched", "captions", "classes"),
        row="{name}",
    ),
    Kind(
        command="vae",
        protocol=VaeProtocol,
        subject=("vae",),
        also=("pictures",),
        row="{name}",
        digits=".3f",
    ),
    Kind(
        command="unclip",
        protocol=UnclipProtocol,
        subject=("decoder", "priors", "model", "sampling"),
        beside=("prompts.captions_cut", "device"),
        row="{group}: {name}",
        scores=scores_of_routes,
    ),
    Kind(
        command="guidance",
        protocol=SweepProtocol,
        subject=(*DRAWN, "guide", "clip_sampling", "choosers"),
        beside=("chance", "prompts.captions_cut", "device", "versions"),
        row="{group}: {name}",
        digits=".3f",
        items=rates_by_prompt,
        more=choosers,
        scores=scores_of_settings,
    ),
)
KNOWN = ", ".join(kind.command for kind in KINDS)


def kind_of(content: Mapping[str, Any]) -> Kind | None:
    """Of the JSON of an evaluation; None: it is of none that is known. A sweep says of each of its
    numbers what it is, all others have one metric."""
    metric = content.get("metric")
    if isinstance(metric, dict):
        return KINDS[-1] if "settings" in content else None
    if not isinstance(metric, str):
        return None
    return next((kind for kind in KINDS if getattr(kind.protocol, "metric", "") == metric), None)
