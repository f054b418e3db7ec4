"""Settings of what training changes in a picture and its caption."""

from __future__ import annotations

from pydantic import Field

from textdiff.config import Settings


class AugmentConfig(Settings):
    """All off by default."""

    zoom: float = Field(
        0.0, ge=0, le=1, description="pictures are scaled by up to 1 + zoom, or 1 over that"
    )
    rotate: float = Field(0.0, ge=0, le=180, description="turned by up to so many degrees")
    flip: bool = Field(
        False, description="mirror half of the pictures; not where arrows or letters matter"
    )
    colour: float = Field(
        0.0,
        ge=0,
        le=1,
        description="brightness, contrast and saturation change by up to this share, the hue by up "
        "to a quarter of it in turns; not where the caption names a colour",
    )
    cutout: float = Field(
        0.0, ge=0, lt=1, description="side of a square painted over, as a share of the picture's"
    )
    drop_words: float = Field(
        0.0, ge=0, lt=1, description="share of the words left out of captions, never all of one"
    )
