"""What stands in for data and weights that need not be here: memory and time do not depend on them.

pictures of noise with captions that fill the text tower's context;  random weights for a CLIP of
open_clip's list;  a VAE of Stable Diffusion's shape with random weights for one of the hub

A name that is neither here nor of the hub is refused: it is mistyped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from textdiff.clip.source import RANDOM, is_listed
from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.errors import UsageError
from textdiff.training.perceptual import LPIPS
from textdiff.training.plan.settings import TaskName
from textdiff.training.settings.noised_clip import FinetuneClipSettings
from textdiff.training.settings.vae import TrainVaeSettings
from textdiff.vae.config import VaeConfig
from textdiff.vae.model import Vae
from textdiff.vae.source import is_elsewhere
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
        CheckpointError: a VAE that is neither here nor of the hub.
    """
    stand_ins = [*for_clips(settings), *for_vae(settings, folder)]
    if without_data:
        stand_ins.append(for_data(task, settings, folder))
    changes = {stand_in.setting: stand_in.value for stand_in in stand_ins}
    return settings.model_copy(update=changes), [stand_in.note for stand_in in stand_ins]


@dataclass(frozen=True)
class StandIn:
    """value: of the top-level `setting`. note: what was replaced, in words."""

    setting: str
    value: Any
    note: str


def for_clips(settings: Settings) -> Iterator[StandIn]:
    """For weights of open_clip's list."""
    names = {name: getattr(settings, name, None) for name in ("clip", "init")}
    if isinstance(settings, TrainVaeSettings):
        names = {"perceptual": settings.loss.perceptual}  # init is a VAE
    for setting, name in names.items():
        if not isinstance(name, str) or name == LPIPS or not is_of_the_list(name):
            continue
        value: Any = f"{name.rpartition('/')[0]}/{RANDOM}"
        if isinstance(settings, TrainVaeSettings):
            setting, value = "loss", settings.loss.model_copy(update={"perceptual": value})
        yield StandIn(setting, value, f"random weights stand in for those of {name}")


def is_of_the_list(name: str) -> bool:
    """Whether a CLIP is MODEL/TAG of open_clip's list; not a part of a folder that is here, which
    is mistyped then."""
    return is_listed(name) and not Path(name.partition("/")[0]).is_dir()


def for_vae(settings: Settings, folder: Path) -> Iterator[StandIn]:
    """For one of the hub. Raises CheckpointError: it is neither here nor of the hub."""
    setting = "init" if isinstance(settings, TrainVaeSettings) else "codec"
    name = getattr(settings, setting, None)
    if not isinstance(name, str) or not is_elsewhere(name):
        return
    if isinstance(settings, FinetuneClipSettings):  # which only compares it with the model's
        note = f"the model's own VAE stands in for {name}, which must be the same"
        yield StandIn(setting, None, note)
        return
    write_vae(folder / "vae", data_of(settings).image_size)
    note = f"a VAE of Stable Diffusion's shape with random weights stands in for {name}"
    yield StandIn(setting, str(folder / "vae"), note)


def for_data(task: TaskName, settings: Settings, folder: Path) -> StandIn:
    """Raises UsageError: data that nothing can stand in for."""
    if getattr(settings, "embeddings", None) is not None:
        raise UsageError(
            f"data_images: --embeddings belong to real pictures, which {task} must look at; "
            "leave data_images out"
        )
    size = data_of(settings).image_size
    write_noise(folder / "data", size)
    noise = {"source": str(folder / "data"), "kind": "folder", "min_side": 1, "cache": "off"}
    note = "noise stands in for the pictures, captions fill the text tower's context"
    return StandIn("data", DataConfig(**noise, image_size=size), note)


def data_of(settings: Settings) -> DataConfig:
    """Of every task but that of a prior."""
    data = settings.data  # type: ignore[attr-defined]
    assert isinstance(data, DataConfig)
    return data


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
