"""The Inception network of the Frechet distance (arXiv 1706.08500), as torch-fidelity has it: 2048
features after the last pooling, with the weights of TensorFlow's 2015-12-05 graph.

    pictures of any size ── bilinear to 299 x 299, not antialiased, as in TensorFlow 1 ──► network

Its published numbers are of pictures at their stored size (256 for COCO), which --data.image-size
states; otherwise files are read at the network's own. The weights are never downloaded: a number
must not depend on what a server answers.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from textdiff.checkpoint import config_hash, load_foreign_tensors, load_tensors, weights_hash
from textdiff.data.config import DataConfig
from textdiff.errors import CheckpointError, UsageError, require_extra
from textdiff.evaluation.features.extractor import ExtractorProtocol, Preprocessing
from textdiff.types import Features, Pictures

if TYPE_CHECKING:
    from torch import Tensor, nn

FILE = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
LAYER = "2048"
SEEN = Preprocessing(
    image_size=299,
    resize="stretch",
    resample="bilinear",
    antialias=False,
    mean=(128 / 255,) * 3,
    std=(128 / 255,) * 3,
)


@dataclass(frozen=True)
class InceptionExtractor:
    """name: what the user called it."""

    name: str
    network: nn.Module
    device: str
    batch_size: int = 64

    @classmethod
    def load(cls, name: str, file: str | None, device: str) -> InceptionExtractor:
        """file: of the weights; None: where torch-fidelity keeps them.

        Raises:
            UsageError: torch-fidelity or the weights are missing. CheckpointError: of another
                network, or damaged.
        """
        require_extra("eval", f"--features {name}")
        return cls(name, inception_of(weights_file(file)).to(device), device)

    @cached_property
    def protocol(self) -> ExtractorProtocol:
        return ExtractorProtocol(
            name=self.name,
            kind="inception",
            weights=weights_hash(self.network),
            layer=LAYER,
            dim=int(LAYER),
            preprocessing=SEEN,
            architecture=config_hash(type(self.network).__name__),  # there is one
        )

    def prepared(self, config: DataConfig) -> DataConfig:
        """Of the network's side, unless another was asked for; how they become square is no matter
        of the network."""
        if "image_size" in config.model_fields_set:
            return config
        return config.model_copy(update={"image_size": SEEN.image_size})

    @torch.no_grad()
    def encode(self, images: Pictures) -> Features:
        (features,) = self.network(images.to(self.device))
        return features.float().cpu()


def weights_file(file: str | None) -> Path:
    """Raises UsageError where there is none."""
    path = Path(file).expanduser() if file else Path(torch.hub.get_dir()) / "checkpoints" / FILE
    if not path.is_file():
        raise UsageError(
            f"the Inception weights are not at {path}: put {FILE} there (from {URL}), or name the "
            "file, as in --features inception:path/to/weights.pth; nothing is downloaded"
        )
    return path


def inception_of(path: Path) -> nn.Module:
    """torch-fidelity's network with the weights of a .safetensors or .pth file, in eval mode.

    Raises:
        CheckpointError: the file is damaged or of another network.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    tensors = load_tensors(path) if path.suffix == ".safetensors" else load_foreign_tensors(path)
    try:
        return FeatureExtractorInceptionV3("inception", [LAYER], _as_file(tensors))
    except RuntimeError as error:
        first = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{path} does not hold the weights of the Inception network: {first}"
        ) from None


def _as_file(tensors: dict[str, Tensor]) -> io.BytesIO:
    """torch-fidelity unpickles whatever the file holds; so it gets one made of tensors, by us."""
    file = io.BytesIO()
    torch.save(tensors, file)
    file.seek(0)
    return file
