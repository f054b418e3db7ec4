"""What `textdiff classify` finds: how often the right class comes first; and how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from textdiff.evaluation.per_item import PerItem
from textdiff.evaluation.protocol import ClipProtocol, DataProtocol
from textdiff.evaluation.results import INLINE, OMIT_NONE, Key
from textdiff.evaluation.zero_shot.prompts import Prompts
from textdiff.evaluation.zero_shot.truth import Truth
from textdiff.metrics.bootstrap import Estimate
from textdiff.metrics.zero_shot import LOGIT_SCALE


@dataclass(frozen=True)
class ClassesProtocol:
    """source: where they are from. fingerprint: of ids and names in their order."""

    source: str
    number: int
    fingerprint: str


@dataclass(frozen=True)
class PromptsProtocol:
    """source: where the wording is from. sha256: of the texts of all classes, in their order.
    templates: each with one {}; None of captions."""

    source: str
    sha256: str
    per_class: int
    templates: list[str] | None


@dataclass(frozen=True, kw_only=True)
class ZeroShotProtocol:
    """truth: what says which class is right."""

    metric: str = "zero-shot accuracy, ties count against"
    logit_scale: float = LOGIT_SCALE
    truth: str
    classes: ClassesProtocol
    prompts: PromptsProtocol
    data: DataProtocol
    clip: ClipProtocol


def zero_shot_protocol(
    truth: Truth, prompts: Prompts, data: DataProtocol, clip: ClipProtocol
) -> ZeroShotProtocol:
    classes, templates = truth.classes, prompts.templates
    return ZeroShotProtocol(
        truth=truth.kind,
        classes=ClassesProtocol(classes.source, len(classes), classes.fingerprint),
        prompts=PromptsProtocol(
            source=prompts.source,
            sha256=hashlib.sha256(json.dumps(prompts.texts).encode()).hexdigest(),
            per_class=len(prompts.texts[0]),
            templates=None if templates is None else list(templates),
        ),
        data=data,
        clip=clip,
    )


@dataclass(frozen=True)
class Rate:
    """chance: in random order."""

    accuracy: Annotated[Estimate, INLINE]
    chance: float


@dataclass(frozen=True)
class Accuracies:
    """top_5: None of five classes or fewer. mean_per_class: over those that have pictures."""

    top_1: Annotated[Rate, Key("top-1")]
    top_5: Annotated[Rate | None, Key("top-5"), OMIT_NONE] = field(default=None, kw_only=True)
    mean_per_class: Annotated[Rate, Key("mean per class")]

    def by_name(self) -> dict[str, Rate]:
        of_five = {"top-5": self.top_5} if self.top_5 else {}
        return {"top-1": self.top_1, **of_five, "mean per class": self.mean_per_class}


@dataclass(frozen=True)
class ClassRate:
    """A class with pictures. id: where it has one. taken_for: the class that its other pictures are
    most often taken for; None where all are right."""

    name: str
    id: Annotated[str | None, OMIT_NONE] = field(default=None, kw_only=True)
    pictures: int
    accuracy: Annotated[Estimate, INLINE]
    taken_for: Annotated[str | None, OMIT_NONE] = None


@dataclass(frozen=True)
class Confused:
    """How many pictures of the class `truth` are taken for `taken_for`; share: of its pictures."""

    truth: str
    taken_for: str
    pictures: int
    share: float


@dataclass(frozen=True)
class ZeroShotResult:
    """pictures: how many could be used. prompts_cut: of the distinct prompts, those that the text
    tower sees cut. classes: those with pictures, the worst first. confused: pairs of classes, those
    with most pictures first. per_item: the "rank" and the number of the "class" of each picture, by
    its name."""

    pictures: int
    prompts_cut: int
    accuracies: Annotated[Accuracies, Key("results")]
    classes: Annotated[list[ClassRate], Key("by_class")]
    confused: list[Confused]
    per_item: dict[str, PerItem] = field(default_factory=dict)

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        for name, rate in self.accuracies.by_name().items():
            yield name, rate.accuracy


@dataclass(frozen=True)
class UnjudgedResult:
    """Without a truth. first: for how many pictures each class comes first, if for any, the most
    frequent one first."""

    pictures: int
    prompts_cut: int
    first: dict[str, int]

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        """None: nothing says what is right."""
        return iter(())
