"""A model of timm in a local folder, as timm saves it for a hub.

    config.json {"architecture": "vit_small_patch14_dinov2", "pretrained_cfg": {"mean": ...}}
    model.safetensors

Features are what the model gives its classifier. The whole picture is seen: timm's crop_pct, which
cuts its border off, is for classification.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from textdiff.checkpoint import config_hash, load_module, load_tensors, weights_hash
from textdiff.data.config import DataConfig
from textdiff.errors import CheckpointError
from textdiff.evaluation.features.extractor import ExtractorProtocol, Preprocessing
from textdiff.evaluation.features.preprocess import as_seen, network_input
from textdiff.types import Features, Pictures

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = "model.safetensors"
LAYER = "before the classifier"


@dataclass(frozen=True)
class TimmExtractor:
    protocol: ExtractorProtocol
    network: nn.Module
    batch_size: int = 64

    @classmethod
    def load(cls, name: str, folder: Path, config: dict[str, Any], device: str) -> TimmExtractor:
        """name: what the user called it. config: of the folder.

        Raises:
            CheckpointError: an architecture that timm lacks, or weights of another one.
        """
        import timm
        from timm.data.config import resolve_model_data_config

        arguments = dict(config.get("model_args") or {})
        arguments |= {"num_classes": config["num_classes"]} if "num_classes" in config else {}
        try:
            network: Any = timm.create_model(config["architecture"], pretrained=False, **arguments)
        except Exception as error:  # timm raises nearly anything
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"timm cannot build what {folder / 'config.json'} describes: {reason}"
            ) from None
        load_module(network, load_tensors(folder / WEIGHTS), folder / WEIGHTS)
        network.reset_classifier(0)
        network.eval().requires_grad_(False).to(device)
        stated = resolve_model_data_config(network, pretrained_cfg=config.get("pretrained_cfg"))
        seen = Preprocessing(
            image_size=stated["input_size"][-1],
            resize="crop",
            resample="bilinear" if stated["interpolation"] == "bilinear" else "bicubic",
            antialias=True,
            mean=tuple(stated["mean"]),
            std=tuple(stated["std"]),
        )
        protocol = ExtractorProtocol(
            name=name,
            kind="timm",
            weights=weights_hash(network),
            layer=LAYER,
            dim=network.num_features,
            preprocessing=seen,
            architecture=config_hash([config["architecture"], arguments]),
        )
        return cls(protocol, network)

    def prepared(self, config: DataConfig) -> DataConfig:
        return as_seen(config, self.protocol.preprocessing)

    @torch.no_grad()
    def encode(self, images: Pictures) -> Features:
        device = next(self.network.parameters()).device
        pixels = network_input(images, self.protocol.preprocessing, device)
        return self.network(pixels).float().cpu()


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder. Raises CheckpointError."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} is no JSON object")
    return config
