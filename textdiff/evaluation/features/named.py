"""The extractor that a user names.

runs/clip, ViT-B-32/openai      a CLIP: a folder of open_clip's, or MODEL/TAG of its list
inception, inception:FILE       the network of the Frechet distance
dinov2:FOLDER                   a DINOv2, of transformers or timm
FOLDER                          whichever of these its files show it to be
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textdiff.clip import ClipModel
from textdiff.clip.source import CONFIG as CLIP_CONFIG
from textdiff.errors import CheckpointError, UsageError
from textdiff.evaluation.features.clip import ClipExtractor
from textdiff.evaluation.features.extractor import Extractor
from textdiff.evaluation.features.inception import InceptionExtractor
from textdiff.evaluation.features.model_files import read_object
from textdiff.evaluation.features.timm_folder import TimmExtractor
from textdiff.evaluation.features.vision import VisionExtractor

AnyExtractor = ClipExtractor | InceptionExtractor | VisionExtractor | TimmExtractor
DINO = "dinov2"


def load_extractor(name: str, device: str, batch_size: int | None = None) -> Extractor:
    """On `device`, frozen. batch_size: pictures that it takes at once; None: by its kind.

    Raises:
        UsageError: no such kind of folder, or a package or weights that are not on this machine.
        CheckpointError: weights that cannot be used.
    """
    extractor = find_extractor(name, device)
    return replace(extractor, batch_size=batch_size) if batch_size else extractor


def find_extractor(name: str, device: str) -> AnyExtractor:
    """Raises as `load_extractor`."""
    kind, _, rest = name.partition(":")
    if kind == "inception":
        return InceptionExtractor.load(name, rest or None, device)
    if kind == DINO:
        return load_folder(name, Path(rest).expanduser(), device, only=DINO)
    folder = Path(name).expanduser()
    if folder.is_dir() and not (folder / CLIP_CONFIG).is_file():
        return load_folder(name, folder, device)
    return ClipExtractor(name, ClipModel.load(name).freeze().to(device))


def load_folder(
    name: str, folder: Path, device: str, only: str = ""
) -> VisionExtractor | TimmExtractor:
    """A vision model of transformers or timm. only: what its architecture must be.

    Raises: as `load_extractor`.
    """
    if not (folder / "config.json").is_file():
        raise UsageError(
            f"--features {name}: {folder} has neither {CLIP_CONFIG} (a CLIP) nor config.json with "
            "model.safetensors (a vision model of transformers or timm)"
        )
    if not any(folder.glob("*.safetensors")):
        raise UsageError(
            f"--features {name}: {folder} has no .safetensors file; weights in other formats are "
            "not read"
        )
    config = read_object(folder / "config.json")
    architecture = str(config.get("model_type") or config.get("architecture") or "")
    if only not in architecture:
        raise UsageError(
            f"--features {name}: {folder} holds a {architecture or 'model of no stated kind'}, no "
            f"{only}; give --features {folder} to use it all the same"
        )
    if "model_type" in config:
        return VisionExtractor.load(name, folder, config, device)
    if "architecture" in config:
        return TimmExtractor.load(name, folder, config, device)
    raise CheckpointError(
        f"{folder / 'config.json'} has neither model_type (transformers) nor architecture (timm)"
    )
