"""What stands in for data and weights that need not be here: memory and time do not depend on them.

pictures of noise with captions that fill the text tower's context;  random weights for a CLIP of
open_clip's list;  a VAE of Stable Diffusion's shape with random weights for one of the hub
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

from textdiff.clip.source import RANDOM, is_listed
from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.errors import UsageError
from textdiff.training.plan.settings import TaskName
from textdiff.vae.config import VaeConfig
from textdiff.vae.model import Vae
from textdiff.vae.statistics import LatentStatistics

PICTURES = 32  # distinct ones, with a caption each
WORDS = 300  # of a caption: more than any text tower takes
STABLE_DIFFUSION = VaeConfig(
    block_channels=(128, 256, 512, 512), layers_per_block=2, norm_groups=32, attention=True
)


def with_stand_ins(
    task: TaskName, settings: Settings, folder: Path, *, without_data: bool
) -> tuple[Settings, list[str]]:
    """Settings that name what is in `folder`, and what was replaced, in words.

    Args:
        folder: empty; what stands in is written there.
        without_data: use no data but noise.

    Raises:
        UsageError: data that nothing can stand in for.
    """
    notes, changes = [], dict[str, Any]()
    for name in ("clip", "init"):
        value = getattr(settings, name, None)
        if isinstance(value, str) and is_listed(value):
            model = value.rpartition("/")[0]
            changes[name] = f"{model}/{RANDOM}"
            notes.append(f"random weights stand in for those of {value}")
    codec = getattr(settings, "codec", None)
    if isinstance(codec, str) and not Path(codec).expanduser().exists():
        write_vae(folder / "vae", cast(DataConfig, settings.data).image_size)  # type: ignore[attr-defined]
        changes["codec"] = str(folder / "vae")
        notes.append(f"a VAE of Stable Diffusion's shape with random weights stands in for {codec}")
    if without_data:
        if getattr(settings, "embeddings", None) is not None:
            raise UsageError(
                f"data_images: --embeddings belong to real pictures, which {task} must look at; "
                "leave data_images out"
            )
        data = cast(DataConfig, getattr(settings, "data"))  # noqa: B009  # every other task's
        write_noise(folder / "data", data.image_size)
        noise = {"source": str(folder / "data"), "kind": "folder", "min_side": 1, "cache": "off"}
        changes["data"] = DataConfig(**noise, image_size=data.image_size)
        notes.append("noise stands in for the pictures, captions fill the text tower's context")
    return settings.model_copy(update=changes), notes


def write_vae(folder: Path, image_size: int) -> None:
    """Random weights of Stable Diffusion's autoencoder: 84M parameters, f 8, 4 channels."""
    network = Vae.build(STABLE_DIFFUSION, 0, image_size)
    channels = STABLE_DIFFUSION.latent_channels
    vae = Vae(network)
    vae.statistics = LatentStatistics(
        torch.zeros(channels), torch.ones(channels), count=0, data="none", vae=vae.identity
    )
    vae.save(folder)


def write_noise(folder: Path, size: int) -> None:
    """A folder of captioned pictures of size x size, for `data.folder`."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    lines = []
    for number in range(PICTURES):
        levels = generator.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"{number}.png")
        caption = " ".join(["cat"] * WORDS + [str(number)])
        lines.append({"file_name": f"{number}.png", "text": f"{number} {caption}"})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
