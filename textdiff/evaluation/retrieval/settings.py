"""Settings of `textdiff retrieval`."""

from __future__ import annotations

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import RunData
from textdiff.evaluation.settings import Device, JsonFile, Limit, SearchedSplit


class RetrievalSettings(Settings):
    """Protocol: every image of the split (or the first `limit`) with all of its captions."""

    clip: str = Field(description="folder of a CLIP, or MODEL/TAG of open_clip's list")
    data: RunData
    split: SearchedSplit = "test"
    limit: Limit = None
    device: Device = "auto"
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name
