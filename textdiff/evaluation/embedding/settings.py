"""Settings of `textdiff embed`."""

from __future__ import annotations

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import RunData
from textdiff.evaluation.settings import Device, FeatureCache, Split


class EmbedSettings(Settings):
    """Every image of the split that can be used, with all of its captions."""

    clip: str = Field(description="folder of a CLIP, or MODEL/TAG of open_clip's list")
    data: RunData
    split: Split = Field("all", description="whose images; all: each row says which split it is of")
    out: str = Field(description="write the embeddings here (.safetensors)")
    feature_cache: FeatureCache = "auto"
    device: Device = "auto"
