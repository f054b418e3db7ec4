"""Settings of `textdiff train-clip`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from textdiff.clip.config import ClipConfig
from textdiff.data.config import DataConfig
from textdiff.training.config import ClipTrainConfig, ContrastiveLossConfig
from textdiff.training.settings.checked import CheckedRunSettings


class TrainClipSettings(CheckedRunSettings):
    """CLIP pre-training."""

    init: str | None = Field(
        None, description="start from this CLIP (folder or MODEL/TAG) instead of fresh weights"
    )
    seed: int = Field(0, description="of weights, order and everything else")
    split: Literal["train", "all"] = Field(
        "train", description="what is trained on; all: a judge that needs no held-out data"
    )
    max_shift: int = Field(0, ge=0, description="shift pictures by up to this many pixels")
    eval_images: int = Field(1000, ge=1, description="held-out images that retrieval searches")
    data: DataConfig = DataConfig()
    clip: ClipConfig = ClipConfig()
    loss: ContrastiveLossConfig = ContrastiveLossConfig()
    train: ClipTrainConfig = ClipTrainConfig()
