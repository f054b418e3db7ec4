"""An extractor whose features are known, and small models in the folders that users have."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from textdiff.data import DataConfig
from textdiff.evaluation.features.extractor import ExtractorProtocol, Preprocessing

SEEN = Preprocessing(16, "crop", "bicubic", True, (0.0,) * 3, (1.0,) * 3)


@dataclass
class MeanColours:
    """Features (n, 3): the mean of each channel. encoded: how many pictures at each call."""

    weights: str = "0123"
    batch_size: int = 4
    encoded: list[int] = field(default_factory=list)
    watch: Callable[[Tensor], None] = lambda images: None

    @property
    def protocol(self) -> ExtractorProtocol:
        return ExtractorProtocol("colours", "timm", self.weights, "mean", 3, SEEN)

    def prepared(self, config: DataConfig) -> DataConfig:
        return config

    def encode(self, images: Tensor) -> Tensor:
        self.watch(images)
        self.encoded.append(len(images))
        return images.float().mean(dim=(2, 3))


def write_dino(folder: Path) -> Path:
    """A Dinov2Model of transformers, 32 wide, for pictures of 28 x 28; random weights."""
    from transformers import Dinov2Config, Dinov2Model
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        mlp_ratio=2,
    )
    Dinov2Model(config).save_pretrained(folder)
    return folder


def write_timm(folder: Path) -> Path:
    """A vision transformer of timm, 192 wide, for pictures of 32 x 32; random weights."""
    import timm

    from textdiff.checkpoint import save_tensors

    architecture, arguments = "vit_tiny_patch16_224", {"img_size": 32, "depth": 1}
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=5, **arguments)
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / "model.safetensors", network.state_dict())
    data = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.25] * 3}
    config = {"architecture": architecture, "num_classes": 5, "model_args": arguments}
    (folder / "config.json").write_text(json.dumps({**config, "pretrained_cfg": data}))
    return folder


@dataclass
class NamedColours(MeanColours):
    """The same, and for captions the colour that their first word names: red, green or blue."""

    names: tuple[str, ...] = ("red", "green", "blue")

    def encode_texts(self, captions: Sequence[str]) -> Tensor:
        return torch.stack([self.colour(text.split()[0]) for text in captions])

    def colour(self, name: str) -> Tensor:
        """(3,) 255 in its channel, 0 in the others."""
        return 255.0 * torch.eye(3)[self.names.index(name)]

    def num_truncated(self, captions: Sequence[str]) -> int:
        return sum(len(text) > 20 for text in captions)
