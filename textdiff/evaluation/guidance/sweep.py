"""A sweep of guidance as it is kept in its file: protocol, real pictures, a result per setting.

Sweep ── protocol: SweepProtocol           all that the numbers depend on but the scales
      ├─ real: PictureScores               of real pictures
      └─ settings: SettingResult           scales, PictureScores of drawn pictures, differences
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated

from textdiff.evaluation.held_out.protocol import Chance, PromptProtocol, ReferenceProtocol
from textdiff.evaluation.held_out.scores import Difference, JudgedScores, PromptFollowing
from textdiff.evaluation.protocol import ClipProtocol, DataProtocol, ModelProtocol
from textdiff.evaluation.results import INLINE, OMIT_NONE, Key
from textdiff.metrics.bootstrap import Estimate
from textdiff.pipeline.cost import Evaluations


@dataclass(frozen=True)
class Choice:
    """How the best of several candidates for a picture is chosen.

    judge: folder of the CLIP that chooses. reads: what it is, "clean CLIP" or "noised CLIP".
    weights: their hash. keep_after: shares of the steps after which the weaker half stops.
    rival_steps: that the same guidance takes alone, for as many evaluations of the network or
        more; fewer only where the schedule has no more timesteps.
    """

    best_of: int
    judge: str
    reads: str
    weights: str
    keep_after: tuple[float, ...]
    rival_steps: int

    @property
    def kind(self) -> str:
        when = f"{self.reads}, early" if self.keep_after else f"final {self.reads}"
        return f"best of {self.best_of} by {when}"

    @property
    def known(self) -> Choice:
        """The same with what does not depend on where the CLIP lies: `judge` is its hash."""
        return replace(self, judge=self.weights)

    def __str__(self) -> str:
        """E.g. "best of 8 by noised CLIP, early (runs/noised-clip at 0.25 0.5)"."""
        shares = "".join(f" {share:g}" for share in self.keep_after)
        return f"{self.kind} ({self.judge}{' at' * bool(shares)}{shares})"


@dataclass(frozen=True)
class Scales:
    """What a sweep goes through.

    guidance: classifier-free, 1 is off. clip: 0 is off.
    choice: among candidates; None: each picture is drawn once.
    num_steps: where others than the protocol's.
    """

    guidance: Annotated[float, Key("guidance_scale")]
    clip: Annotated[float, Key("clip_guidance_scale")]
    choice: Annotated[Choice | None, OMIT_NONE] = None
    num_steps: Annotated[int | None, OMIT_NONE] = None

    @property
    def kind(self) -> str:
        """What guides: nothing, classifier-free guidance, CLIP, or both; or how the best of
        several is chosen."""
        if self.choice is not None:
            return self.choice.kind
        if self.clip == 0:
            return "none" if self.guidance == 1 else "CFG"
        return "CLIP" if self.guidance == 1 else "CFG + CLIP"

    @property
    def path(self) -> Scales:
        """What it shares with settings that differ in classifier-free guidance alone."""
        choice = None if self.choice is None else replace(self.choice, rival_steps=0)
        return replace(self, guidance=1, choice=choice)

    def __str__(self) -> str:
        """E.g. "CFG 2.5 CLIP 5", "CFG 2.5, 38 steps"."""
        parts = [f"CFG {self.guidance:g}"] if self.guidance != 1 else []
        parts += [f"CLIP {self.clip:g}"] if self.clip else []
        steps = [] if self.num_steps is None else [f"{self.num_steps} steps"]
        chosen = [] if self.choice is None else [str(self.choice)]
        return ", ".join([" ".join(parts) or "unguided", *steps, *chosen])


@dataclass(frozen=True)
class RecallGap:
    """R@k by the CLIP that guides less that of the evaluators, in pairs."""

    at_1: Annotated[Estimate, Key("R@1")]
    at_5: Annotated[Estimate, Key("R@5")]


@dataclass(frozen=True)
class PictureScores(JudgedScores):
    """Of one set of pictures, by the CLIP that guides too."""

    guide: PromptFollowing
    gap: Annotated[RecallGap, Key("guide - held_out")]


@dataclass(frozen=True)
class SettingResult:
    """kind, name: of its scales, and where sweeps were merged, of how CLIP guides. differences: by
    baseline, of those that were drawn too. evaluations: of networks, for one picture; None: files
    of old do not say."""

    kind: str
    name: str
    scales: Annotated[Scales, INLINE]
    scores: Annotated[PictureScores, INLINE]
    seconds_per_picture: float
    differences: dict[str, Difference] = field(default_factory=dict)
    evaluations: Annotated[Evaluations | None, OMIT_NONE] = None

    @property
    def known_name(self) -> str:
        """The name with the hash of a CLIP that chooses in place of where it lies."""
        choice = self.scales.choice
        return self.name if choice is None else self.name.replace(str(choice), str(choice.known))


@dataclass(frozen=True)
class GuideReading:
    """The guide as one that reads finished pictures. reads: what it takes them for."""

    reads: str
    weights: str


@dataclass(frozen=True)
class GuideProtocol:
    """The CLIP that guides. form: how, in words."""

    clip: Annotated[ClipProtocol, INLINE]
    form: str
    reading: Annotated[GuideReading, Key("judges")]


@dataclass(frozen=True)
class SweepProtocol:
    """All that the numbers depend on but the scales. metric: what each number is, in words.
    sampling, clip_sampling: settings, the latter of guidance by CLIP."""

    metric: dict[str, str]
    model: ModelProtocol
    guide: GuideProtocol
    evaluators: tuple[ClipProtocol, ...]
    data: DataProtocol
    prompts: PromptProtocol
    reference: ReferenceProtocol
    chance: Chance
    sampling: dict[str, object]
    clip_sampling: dict[str, object]
    device: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Sweep:
    """guides: where sweeps were merged, the guide of each."""

    protocol: Annotated[SweepProtocol, INLINE]
    real: PictureScores
    settings: tuple[SettingResult, ...] = ()
    guides: Annotated[tuple[GuideProtocol, ...] | None, OMIT_NONE] = None

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        """Of each setting and of real pictures: R@1 and KID by the evaluators, R@1 by the guide."""
        rows = [(each.name, each.scores) for each in self.settings]
        for name, scores in [*rows, ("real pictures", self.real)]:
            yield f"{name}: held out R@1", scores.held_out.following.at_1
            yield f"{name}: held out KID", scores.held_out.kid
            yield f"{name}: guide R@1", scores.guide.at_1
