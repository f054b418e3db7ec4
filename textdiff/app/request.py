"""What is asked for, checked before it waits: pictures of prompts, within the server's limits.

A request is plain values, the keys those of `textdiff sample`'s flags, so that it travels as JSON.
Pictures stand in it as ids, models and CLIPs as the names that the server was started with: nothing
in a request is ever a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from textdiff.app.settings import Limits
from textdiff.config import build
from textdiff.errors import UsageError
from textdiff.pipeline.config import SamplingConfig, flat_settings

if TYPE_CHECKING:
    from textdiff.app.models import Clips, Models
    from textdiff.pipeline.origin import Origin

LARGEST_SEED = (1 << 53) - 1  # what JavaScript holds exactly
PICTURES = ("init_image", "mask", "clip_image")


class DrawRequest(SamplingConfig):
    """Pictures of prompts: the settings of `textdiff sample`, and what they are applied to."""

    model: str = Field(description="one of the server's models, by name")
    step: int | None = Field(None, ge=0, description="checkpoint of a run; none: the newest")
    prompt: list[str] = Field(min_length=1, description="one or more prompts")
    num_images: int = Field(1, ge=1, description="pictures per prompt")
    first: int = Field(0, ge=0, le=LARGEST_SEED, description="number of the first picture")
    init_image: str | None = Field(None, description="id of an upload or a picture to start from")
    mask: str | None = Field(None, description="id of an upload: white is drawn anew")
    clip_image: str | None = Field(None, description="id of a picture that CLIP guides towards")

    @classmethod
    def of(cls, values: dict[str, Any]) -> DrawRequest:
        """Of keys and values, such as a JSON object.

        Raises:
            UsageError: an unknown key (the nearest one is named), or a wrong value.
        """
        return build(cls, [("the request", values)])

    @property
    def prompts(self) -> list[str]:
        """One per picture."""
        return [prompt for prompt in self.prompt for _ in range(self.num_images)]

    def check(self, limits: Limits, models: Models, clips: Clips) -> None:
        """Raises UsageError for what the server does not have or does not allow."""
        models.check(self.model)
        guidance, selection = self.clip_guidance, self.selection
        for what, name in (("clip_guide", guidance.guide), ("judge", selection.judge)):
            if name is not None:
                clips.check(what, name)
        count = len(self.prompt) * self.num_images
        steps = self.num_steps if self.timesteps is None else len(self.timesteps)
        at_most("pictures (prompts x num_images)", count, limits.images)
        at_most("num_steps", steps, limits.steps)
        at_most("best_of", selection.best_of, limits.candidates)
        at_most("clip_cutouts", guidance.cutouts, limits.cutouts)
        at_most("clip_prompts", len(guidance.prompts), limits.images)
        for prompt in (*self.prompt, self.negative_prompt, *guidance.prompts):
            at_most("letters of a prompt", len(prompt), limits.prompt_length)
        at_most("seed", abs(self.seed), LARGEST_SEED)


def at_most(what: str, value: int, most: int) -> None:
    """Raises UsageError if `value` is more than `most`."""
    if value > most:
        raise UsageError(f"{what}: {value} asked for, and {most} is the most here")


@dataclass(frozen=True)
class Recalled:
    """The settings of a picture as a request, and what of them could not be taken.

    left_out: a line each, in words.
    """

    request: DrawRequest
    left_out: tuple[str, ...]


def recalled(origin: Origin, models: Models, clips: Clips, uploads: Sequence[str] = ()) -> Recalled:
    """What draws a picture again, alone. It may come from anybody: a model or a CLIP that the
    server does not have is replaced by its own, and of the pictures that it was made from, those
    that were uploaded here are taken, by their hash.

    uploads: the ids of those.

    Raises:
        UsageError: the server has no model.
    """
    left_out: list[str] = []
    settings = {
        **flat_settings(origin.config),
        "prompt": [origin.prompt],
        "first": origin.index,
        "model": origin.model["name"],
    }
    if settings["model"] not in models.names():
        names = models.names()
        if not names:
            raise UsageError("this server has no model that draws; start it with --model")
        left_out.append(f"its model {settings['model']:.80} is not here; {names[0]} instead")
        settings["model"] = names[0]
    for key in ("clip_guide", "judge"):
        if settings[key] is not None and settings[key] not in clips.names():
            left_out.append(f"its {key} {settings[key]:.80} is not here; the model's own instead")
            settings[key] = None
    for name, (_, sha256) in origin.pictures.items():
        if sha256 in uploads:
            settings[name] = sha256
        else:
            left_out.append(f"its {name} is not here; upload it again")
            if name == "init_image":
                settings["strength"] = None
    if "mask" in settings and "init_image" not in settings:
        del settings["mask"]
    return Recalled(DrawRequest.of(settings), tuple(left_out))
