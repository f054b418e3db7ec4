"""How evals show their numbers: a table for people, JSON with the protocol for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textdiff.files import write_text

if TYPE_CHECKING:
    from torch import Tensor

    from textdiff.clip import ClipModel, NoisedClip
    from textdiff.data import CaptionedImages
    from textdiff.metrics.bootstrap import Interval
    from textdiff.pipeline import TextToImage


def versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on."""
    from importlib.metadata import version

    names = ("torch", "open_clip_torch", "diffusers", "Pillow")
    from textdiff import __version__

    return {"textdiff": __version__, **{name: version(name) for name in names}}


def describe_clip(name: str, clip: ClipModel | NoisedClip) -> dict[str, Any]:
    return {"name": name, "weights": clip.weights_hash(), "image_size": clip.image_size}


def describe_data(data: CaptionedImages) -> dict[str, Any]:
    return {
        "source": data.name,
        "split": data.split,
        "images": len(data),
        "image_size": data.image_size,
        "resize": data.config.resize,
        "resample": data.config.resample,
        "fingerprint": data.fingerprint,
    }


def describe_model(name: str, pipe: TextToImage) -> dict[str, Any]:
    from textdiff.checkpoint import weights_hash

    return {
        "name": name,
        "step": pipe.step,
        "weights": weights_hash(pipe.unet),
        "clip": pipe.clip.weights_hash(),
        "image_size": pipe.config.unet.image_size,
    }


def device_name(pipe: TextToImage) -> str:
    """What pictures are drawn on; seconds mean nothing without it."""
    import torch

    device = pipe.clip.mean.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def interval(values: Tensor, image_of_value: Tensor | None = None) -> dict[str, float]:
    """Mean of `values` (m,) with its bootstrap interval over images.

    Args:
        image_of_value: (m,) which image each value belongs to; None: one value per image.
    """
    from textdiff.metrics.bootstrap import bootstrap_interval, mean_over_images

    images = len(values) if image_of_value is None else int(image_of_value.max()) + 1
    return as_json(bootstrap_interval(mean_over_images(values, image_of_value), images))


def as_json(found: Interval) -> dict[str, float]:
    return {
        "mean": found.estimate,
        "low": found.low,
        "high": found.high,
        "confidence": found.confidence,
        "resamples": found.resamples,
    }


def check_image_size(data: CaptionedImages, pipe: TextToImage) -> None:
    """Raises UsageError where real pictures would be judged at another size than drawn ones."""
    from textdiff.errors import UsageError

    drawn = pipe.config.unet.image_size
    if data.image_size != drawn:
        raise UsageError(
            f"the model draws {drawn}x{drawn} pictures, --data.image-size is {data.image_size}; "
            f"give --data.image-size {drawn} and the --data.source it was trained on"
        )


def show(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Prints a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def write_json(path: str | Path | None, result: dict[str, Any]) -> None:
    """Writes `result` and the versions, if a path is given, and says where."""
    if path:
        write_text(path, json.dumps({**result, "versions": versions()}, indent=2) + "\n")
        print(f"numbers and protocol: {path}")
