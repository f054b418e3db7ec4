"""One setting and the values that a comparison gives it, read from what somebody typed.

    "guidance_scale", "1, 3, 7" ──► Axis ──► the request with each, checked as if typed alone

Values stand in one line, separated by commas, or one per line, as prompts and lists have to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from textdiff.app.request import DrawRequest
from textdiff.config import build, leaves, value_of
from textdiff.errors import UsageError
from textdiff.pipeline.config import SamplingConfig

# Shown first; then the others, as `textdiff sample --help` has them.
COMMON = (
    *("guidance_scale", "num_steps", "sampler", "prompt", "step", "seed", "clip_guidance_scale"),
    *("model", "best_of", "negative_prompt"),
)
# How much is drawn and at what cost: nothing to compare pictures by. And pictures, of which a grid
# has none to start from.
NOT_COMPARED = frozenset(
    {"num_images", "batch_size", "graphs", "strict", "init_image", "mask", "clip_image", "strength"}
)
# Letters, in which a comma is a comma.
LISTED = frozenset({"prompt", "clip_prompts"})  # each a list of one
WRITTEN = LISTED | {"negative_prompt"}


def settings_of_cells() -> dict[str, Any]:
    """The settings that an axis may vary, by name, with their types."""
    short = {key: name for name, key in SamplingConfig.short_names.items()}
    types = {
        short.get(key, key): field.annotation
        for key, field in leaves(DrawRequest)
        if key not in NOT_COMPARED
    }
    return {name: types[name] for name in dict.fromkeys((*COMMON, *types))}


@dataclass(frozen=True)
class Axis:
    """A setting, by the name of its flag, and what was typed for each value."""

    name: str
    texts: tuple[str, ...]

    @classmethod
    def read(cls, name: str, typed: str) -> Axis:
        """Raises UsageError for a setting that cannot be varied, no value, or one given twice."""
        if name not in settings_of_cells():
            raise UsageError(f"'{name:.60}' is no setting that a comparison can vary")
        lines = typed.strip().splitlines()
        one_line = len(lines) == 1 and name not in WRITTEN and not typed.strip().startswith("[")
        texts = tuple(text.strip() for text in (typed.split(",") if one_line else lines))
        if not texts or not any(texts):
            raise UsageError(f"no values for {name}; type some, such as {example(name)}")
        for text in texts:
            if not text and name not in WRITTEN:
                raise UsageError(f"an empty value for {name}; type one between two commas")
            if texts.count(text) > 1:
                raise UsageError(f"{name} {text:.60} is there twice; leave one out")
        return cls(name, texts)

    def applied(self, request: DrawRequest, number: int) -> DrawRequest:
        """`request` with value `number`.

        Raises:
            UsageError: the setting cannot have it, alone or with the others.
        """
        text, annotation = self.texts[number], settings_of_cells()[self.name]
        value = [text] if self.name in LISTED else value_of(text, annotation)
        return build(
            DrawRequest,
            [("the settings", request.model_dump()), (self.name, {self.name: value})],
        )

    def label(self, number: int) -> str:
        """For people: prompts as they are, others with their name."""
        text = self.texts[number]
        return (text or "(empty)") if self.name == "prompt" else f"{self.name} {text or '(empty)'}"


def example(name: str) -> str:
    """What could be typed."""
    annotation = settings_of_cells()[name]
    choices = [choice for choice in get_args(annotation) if isinstance(choice, str)]
    if choices:
        return ", ".join(choices[:3])
    known = {"num_steps": "10, 25, 50", "seed": "0, 1, 2", "prompt": "one prompt per line"}
    return known.get(name, "1, 3, 7")
