"""A CLIP as an extractor: image features, and text features in the same space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from textdiff.clip import ClipModel
from textdiff.clip.features import CHUNK, text_features
from textdiff.data.config import DataConfig
from textdiff.evaluation.features.extractor import ExtractorProtocol, Preprocessing
from textdiff.metrics.preparation import RESIZES, as_clip_sees
from textdiff.types import Features, Pictures


@dataclass(frozen=True)
class ClipExtractor:
    """name: what the user called it."""

    name: str
    clip: ClipModel
    batch_size: int = CHUNK

    @cached_property
    def protocol(self) -> ExtractorProtocol:
        preprocess = self.clip.preprocess
        return ExtractorProtocol(
            name=self.name,
            kind="clip",
            weights=self.clip.weights_hash(),
            layer="projection",
            dim=self.clip.embed_dim,
            preprocessing=Preprocessing(
                image_size=self.clip.image_size,
                resize=RESIZES[preprocess["resize_mode"]],
                resample="bilinear" if preprocess["interpolation"] == "bilinear" else "bicubic",
                antialias=True,
                mean=tuple(preprocess["mean"]),
                std=tuple(preprocess["std"]),
            ),
            architecture=self.clip.architecture_hash(),
        )

    def prepared(self, config: DataConfig) -> DataConfig:
        return as_clip_sees(config, self.clip)

    @torch.no_grad()
    def encode(self, images: Pictures) -> Features:
        return self.clip.encode_image(images).float().cpu()

    def encode_texts(self, captions: Sequence[str]) -> Features:
        return text_features(self.clip, captions).float()

    def num_truncated(self, captions: Sequence[str]) -> int:
        return self.clip.tokenize(list(captions)).num_truncated
