"""How many tokens of a caption count, for commands that look at data without a training."""

from __future__ import annotations

from pydantic import Field, model_validator

from textdiff.config import Settings

DEFAULT = 77


class CountedSettings(Settings):
    """Of a command that says which captions are cut."""

    clip: str | None = Field(
        None, description="count truncated captions for this CLIP: a folder, or MODEL/TAG"
    )
    context_length: int | None = Field(
        None,
        ge=3,
        description="count them for this many tokens, start and end included; none: the CLIP's "
        "own, else 77",
    )

    @model_validator(mode="after")
    def _one_length(self) -> CountedSettings:
        if self.clip and self.context_length:
            raise ValueError("clip states the context_length; give one of the two")
        return self


def context_length(settings: CountedSettings) -> tuple[int, str]:
    """And where it comes from. Raises CheckpointError, UsageError of a CLIP that cannot be read."""
    if settings.clip:
        from textdiff.clip.model import ClipModel

        return ClipModel.load(settings.clip).context_length, f"those of {settings.clip}"
    if settings.context_length:
        return settings.context_length, "as --context-length says"
    return DEFAULT, (
        "what CLIP models usually see; for the one you train with give --clip or --context-length"
    )
