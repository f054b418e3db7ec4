"""A training's numbers as an answer: is it learning, and if not, what to look at.

errors of held-out and of training pictures, text, average ──► Evidence ──► one to three lines
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from textdiff.training.learning.errors import Errors

LAG = 0.05  # the average is said to lag where its loss is higher by more
CARRIES_OVER = 1.5  # times chance
HARDLY = 0.05  # nearer than the mean picture by no more is not nearer
MOST = 0.5  # text is said to matter where it does for so many of the prompts

State = Literal[
    "before training", "not learning yet", "learning, but not where drawing starts",
    "learning by heart", "learning",
]  # fmt: skip

ADVICE: dict[State, str] = {
    "not learning yet": "x_0_hat is no better than that of whoever sees each pixel alone; if this "
    "lasts: --check overfit says which part is broken, and --train.lr may be far too low or high",
    "learning, but not where drawing starts": "in the noisiest quarter x_0_hat is hardly better "
    "than the mean picture, so that pictures stay blobs; more steps help, and --prediction v "
    "learns these timesteps sooner than eps",
    "learning by heart": "unseen pictures gain nothing from it; more pictures, fewer steps or a "
    "smaller U-Net would, if that is wanted",
}
TEXT_ADVICE = (
    "other prompts hardly change x_0_hat; if this lasts: a lower --train.lr, captions that tell "
    "pictures apart, a CLIP that does, --use-pooled true, a smaller --caption-drop"
)
LAG_ADVICE = "EMA, the average of the weights, lags: a lower --ema-decay follows sooner"


@dataclass(frozen=True)
class Evidence:
    """What is known of a training at one step; None: not asked or not known.

    matter: for how many of `prompts` text matters.
    ahead: by what share the average's loss is below that of the raw weights; below 0 above it.
    """

    held_out: Errors | None = None
    training: Errors | None = None
    matter: int | None = None
    prompts: int = 0
    ahead: float | None = None

    @classmethod
    def read(cls, values: Mapping[str, float]) -> Evidence:
        """From a line of metrics.jsonl."""
        matter = values.get("text/prompts_that_matter")
        return cls(
            held_out=Errors.read(values, "held_out"),
            training=Errors.read(values, "training"),
            matter=None if matter is None else round(matter),
            prompts=round(values.get("text/prompts", 0)),
            ahead=values.get("average/ahead"),
        )

    def state(self, step: int) -> State | None:
        """None where nothing is known."""
        fitted = self.training or self.held_out
        if fitted is None:
            return None
        if step == 0:
            return "before training"
        if fitted.below_single_pixels <= 0:
            return "not learning yet"
        if fitted.below_mean_noisiest <= HARDLY:
            return "learning, but not where drawing starts"
        unseen = self.held_out or fitted
        if unseen.below_single_pixels <= 0 or unseen.below_mean_noisiest <= 0:
            return "learning by heart"
        return "learning"


def verdict(evidence: Evidence, step: int) -> list[str]:
    """One line with state and numbers, and up to two that say what to look at; none where nothing
    is known."""
    state = evidence.state(step)
    if state is None:
        return []
    advice = [ADVICE[state]] if state in ADVICE else []
    if step and evidence.matter is not None and evidence.matter < MOST * evidence.prompts:
        advice.append(TEXT_ADVICE)
    if step and evidence.ahead is not None and evidence.ahead < -LAG:
        advice.append(LAG_ADVICE)
    return [f"{state}: {'; '.join(_facts(evidence))}", *advice[:2]]


def recall_verdict(
    recall: float,
    chance: float,
    step: int,
    finds: str = "held-out pictures find their caption",
) -> list[str]:
    """The same of what searches, from its recall on held-out pictures beside chance.

    finds: what searches, and what for.
    """
    times = recall / chance
    fact = f"{finds} {times:.1f} times as often as by chance"
    if step == 0:
        return [f"before training: {fact}"]
    if times >= CARRIES_OVER:
        return [f"learning: {fact}"]
    return [
        f"not learning yet what carries over to unseen pictures: {fact}",
        "if the loss falls, it learns by heart: more pictures, captions that share words; if not: "
        "--check overfit says which part is broken",
    ]


def _facts(evidence: Evidence) -> Iterator[str]:
    errors = {"held-out": evidence.held_out, "training": evidence.training}
    shares = [_nearer(kind, each) for kind, each in errors.items() if each]
    yield f"x_0_hat is nearer than the mean picture {', '.join(shares)}"
    if evidence.matter is not None:
        few = "" if evidence.matter >= MOST * evidence.prompts else "only "
        yield f"text matters for {few}{evidence.matter} of {evidence.prompts} prompts"
    if evidence.ahead is not None:
        side = "ahead of" if evidence.ahead >= 0 else "behind"
        yield f"EMA {abs(evidence.ahead):.0%} {side} the raw weights"


def _nearer(kind: str, errors: Errors) -> str:
    """A share below 0: farther away than the mean picture."""
    noisiest = f"{errors.below_mean_noisiest:.0%} in the noisiest quarter of t"
    return f"by {errors.below_mean:.0%} to {kind} pictures ({noisiest})"
