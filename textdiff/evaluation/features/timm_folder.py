"""A model of timm in a local folder, as timm saves it for a hub.

    config.json {"architecture": "vit_small_patch14_dinov2", "pretrained_cfg": {"mean": ...}}
    model.safetensors

Features are what the model gives its classifier. The whole picture is seen: timm's crop_pct, which
cuts its border off, is for classification.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from textdiff.checkpoint import config_hash, load_module, load_tensors, weights_hash
from textdiff.data.config import DataConfig
from textdiff.errors import CheckpointError
from textdiff.evaluation.features.extractor import ExtractorProtocol, Preprocessing
from textdiff.evaluation.features.model_files import (
    blamed_on,
    is_side,
    object_in,
    shown,
    three_numbers,
)
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
            CheckpointError: an architecture that timm lacks, weights of another one, or a config
                that is damaged.
        """
        path = folder / "config.json"
        arguments = model_arguments(path, config)
        network = build(path, config["architecture"], arguments)
        load_module(network, load_tensors(folder / WEIGHTS), folder / WEIGHTS)
        seen = read_preprocessing(path, config, network)
        side = seen.image_size
        with torch.no_grad(), blamed_on(path, f"the model does not take pictures of side {side}"):
            network.reset_classifier(0)
            network.eval().requires_grad_(False).to(device)
            dim = network(torch.zeros(1, 3, side, side, device=device)).shape[1]
        protocol = ExtractorProtocol(
            name=name,
            kind="timm",
            weights=weights_hash(network),
            layer=LAYER,
            dim=dim,
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


def model_arguments(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """What the architecture is built with, but for its name. Raises CheckpointError."""
    import timm

    arguments = object_in(path, config, "model_args")
    # such as checkpoint_path, which would unpickle another file
    if foreign := sorted(set(arguments) & set(inspect.signature(timm.create_model).parameters)):
        raise CheckpointError(f"{path}: model_args has '{foreign[0]}', which is none of a model's")
    return arguments | ({"num_classes": config["num_classes"]} if "num_classes" in config else {})


def build(path: Path, architecture: Any, arguments: dict[str, Any]) -> Any:
    """A network with random weights; its name is looked up among timm's own alone.

    Raises:
        CheckpointError: timm has no such architecture, or it takes no such arguments.
    """
    import timm

    if not isinstance(architecture, str) or not timm.is_model(architecture):
        raise CheckpointError(
            f"{path}: timm cannot build what it describes: it has no {shown(architecture)}"
        )
    with blamed_on(path, "timm cannot build what it describes"):
        return timm.create_model(architecture, pretrained=False, **arguments)


def read_preprocessing(path: Path, config: dict[str, Any], network: Any) -> Preprocessing:
    """What pretrained_cfg states, else what timm knows of the network. Raises CheckpointError."""
    from timm.data.config import resolve_model_data_config

    given = object_in(path, config, "pretrained_cfg")
    with blamed_on(path, "timm cannot read its pretrained_cfg"):
        stated = resolve_model_data_config(network, pretrained_cfg=given)
        channels, height, width = stated["input_size"]
    if channels != 3 or height != width or not is_side(width):
        raise CheckpointError(
            f"{path}: input_size is {shown(stated['input_size'])}; it should be [3, side, side]"
        )
    return Preprocessing(
        image_size=width,
        resize="crop",
        resample="bilinear" if stated["interpolation"] == "bilinear" else "bicubic",
        antialias=True,
        mean=three_numbers(path, "mean", stated["mean"]),
        std=three_numbers(path, "std", stated["std"], positive=True),
    )
