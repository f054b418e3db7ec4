"""Models without a manifest that a user accepts: their files are listed as they are now."""

from __future__ import annotations

import re
from pathlib import Path

from textdiff.manifests import MANIFEST, write_manifest
from textdiff.training.kept import PARTS

# What describes a model, in its folder, and what stands beside it.
DESCRIPTIONS = {"model.yaml", "prior.yaml", "noised.yaml", "open_clip_config.json", "config.json"}
TOKENIZER = r"tokenizer\w*\.json|vocab\.(json|txt)|merges\.txt|(special|added)_tokens\w*\.json"
WEIGHTS = r"(unet|prior|noised_clip|open_clip_model|diffusion_pytorch_model)\.safetensors"
LISTED = re.compile(rf"{WEIGHTS}|latents\.json|{TOKENIZER}")


def adopt(root: str | Path) -> list[Path]:
    """Writes a manifest into each folder of a model that has none: `root` and its parts, parts
    first, as the whole lists their manifests. Returns these folders."""
    root = Path(root).expanduser()
    folders = [root / part for part in reversed(PARTS)]
    adopted = []
    for folder in folders:
        names = _files_of(folder)
        if names and not (folder / MANIFEST).is_file():
            write_manifest(folder, names)
            adopted.append(folder)
    return adopted


def _files_of(folder: Path) -> list[str]:
    """Of the model in a folder; none where it holds no weights or nothing describes them."""
    if not folder.is_dir():
        return []
    files = [path.name for path in folder.iterdir() if path.is_file()]
    described = [name for name in files if name in DESCRIPTIONS]
    listed = [name for name in files if LISTED.fullmatch(name)]
    if not described or not any(name.endswith(".safetensors") for name in listed):
        return []
    parts = [f"{part}/{MANIFEST}" for part in PARTS if part]
    return [*described, *listed, *(name for name in parts if (folder / name).is_file())]
