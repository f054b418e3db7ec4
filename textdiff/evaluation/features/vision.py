"""Any vision model of transformers in a local folder, such as DINOv2.

    config.json, model.safetensors        weights that are missing in the file are an error
    preprocessor_config.json              size, mean, std; without it, of config.json and ImageNet

Features are the model's pooled output, for DINOv2 the normalised class token, else the mean of its
last hidden state over positions. The whole picture is seen: its shorter side becomes the network's
(FD-DINOv2 of arXiv 2306.04675 does the same with square pictures).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from textdiff.checkpoint import config_hash, weights_hash
from textdiff.data.config import DataConfig
from textdiff.errors import CheckpointError, UsageError
from textdiff.evaluation.features.extractor import ExtractorProtocol, Preprocessing
from textdiff.evaluation.features.model_files import (
    LARGEST_SIDE,
    blamed_on,
    is_side,
    read_object,
    shown,
    three_numbers,
)
from textdiff.evaluation.features.preprocess import as_seen, network_input
from textdiff.types import Features, Pictures

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
POOLED, AVERAGED = "pooler_output", "mean of last_hidden_state"
BOOKKEEPING = {"architectures", "dtype", "torch_dtype", "transformers_version", "_name_or_path"}
FILTERS = {2: "bilinear", 3: "bicubic"}  # of PIL's numbers; others have no antialiased kernel here


@dataclass(frozen=True)
class VisionExtractor:
    protocol: ExtractorProtocol
    network: nn.Module
    batch_size: int = 64

    @classmethod
    def load(
        cls, name: str, folder: Path, config: Mapping[str, Any], device: str
    ) -> VisionExtractor:
        """name: what the user called it. config: of the folder.

        Raises:
            CheckpointError: the folder lacks weights, holds those of another model, or a file that
                is damaged.
            UsageError: a model that does not look at pictures.
        """
        network = load_network(folder).to(device)
        seen = read_preprocessing(folder, network)
        side = seen.image_size
        with torch.no_grad(), blamed_on(folder, f"the model does not take pictures of side {side}"):
            probe = network(pixel_values=torch.zeros(1, 3, side, side, device=device))
            layer = POOLED if getattr(probe, POOLED, None) is not None else AVERAGED
            dim = features_of(probe, layer).shape[1]
        protocol = ExtractorProtocol(
            name=name,
            kind="transformers",
            weights=weights_hash(network),
            layer=layer,
            dim=dim,
            preprocessing=seen,
            architecture=config_hash({k: v for k, v in config.items() if k not in BOOKKEEPING}),
        )
        return cls(protocol, network)

    def prepared(self, config: DataConfig) -> DataConfig:
        return as_seen(config, self.protocol.preprocessing)

    @torch.no_grad()
    def encode(self, images: Pictures) -> Features:
        device = next(self.network.parameters()).device
        pixels = network_input(images, self.protocol.preprocessing, device)
        return features_of(self.network(pixel_values=pixels), self.protocol.layer).float().cpu()


def features_of(output: Any, layer: str) -> Tensor:
    """(n, D) of what a model returns."""
    if layer == POOLED:
        return output.pooler_output.flatten(1)
    states = output.last_hidden_state  # (n, positions, D), or (n, D, H, W) of a convolutional one
    return states.mean(dim=1) if states.ndim == 3 else states.mean(dim=(2, 3))


def load_network(folder: Path) -> nn.Module:
    """In eval mode. No code of the folder runs and nothing is looked up elsewhere.

    Raises: as `VisionExtractor.load`.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    with blamed_on(folder, "transformers cannot load the model"):
        network, info = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    lacking = sorted({*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])})
    if lacking:
        raise CheckpointError(
            f"{folder}: its weights lack '{lacking[0]}' ({len(lacking)} tensors) that config.json "
            "asks for, and would be random; take both files from one model"
        )
    if network.main_input_name != "pixel_values":
        raise UsageError(
            f"{folder} holds a {type(network).__name__}, which takes {network.main_input_name}, "
            "not pictures; give a vision model such as Dinov2Model or ViTModel"
        )
    return network.eval().requires_grad_(False)


def read_preprocessing(folder: Path, network: nn.Module) -> Preprocessing:
    """Raises CheckpointError where neither file says how large pictures are, or the first is
    damaged."""
    path, config = folder / "preprocessor_config.json", network.config
    stated = read_object(path) if path.is_file() else {}
    wanted = stated.get("crop_size") or stated.get("size") or getattr(config, "image_size", None)
    number = stated.get("resample", 3)
    if type(number) is not int:
        raise CheckpointError(f"{path}: resample is {shown(number)}; it should be PIL's number")
    return Preprocessing(
        image_size=side_of(wanted, folder),
        resize="crop",
        resample=FILTERS.get(number, "bicubic"),
        antialias=True,
        mean=three_numbers(path, "image_mean", stated.get("image_mean", IMAGENET_MEAN)),
        std=three_numbers(path, "image_std", stated.get("image_std", IMAGENET_STD), positive=True),
    )


def side_of(size: Any, folder: Path) -> int:
    """Of a square, stated as 224, {"shortest_edge": 224} or {"height": 224, "width": 224}."""
    if isinstance(size, dict):
        sides = [size[key] for key in ("shortest_edge", "height", "width") if key in size]
        size = sides[0] if sides and all(side == sides[0] for side in sides) else None
    if not is_side(size):
        raise CheckpointError(
            f"{folder}: neither preprocessor_config.json nor config.json states the side of the "
            f"square pictures that the model sees, 1 to {LARGEST_SIDE}; add crop_size to the former"
        )
    return int(size)
