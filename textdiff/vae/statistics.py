"""How latents are scaled for diffusion: per channel, to mean 0 and standard deviation 1.

    latents.json beside the weights:  mean, std (C,)  over the training pictures and all places
    normalised = (z - mean) / std                     before diffusion
    z = normalised * std + mean                       before decoding

One factor for all channels (LDM, arXiv 2112.10752, appendix G; SPEC S9.4) is the case of equal
entries: mean 0, std 1 / scaling_factor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textdiff.errors import CheckpointError
from textdiff.files import read_json, write_text
from textdiff.types import Samples

LATENTS = "latents.json"
FAR = 3.0  # times the deviation that diffusion expects, or a third of it


@dataclass(frozen=True)
class LatentStatistics:
    """mean, std: (C,) float32 of a VAE's latents z.

    count: pictures that they were measured on; 0: they are another project's, of its config.json.
    data: what the pictures were, in words.
    vae: identity of the weights.
    image_size: side of the pictures; None: not recorded.
    """

    mean: Float[Tensor, " channels"]
    std: Float[Tensor, " channels"]
    count: int
    data: str
    vae: str
    image_size: int | None = None

    def normalise(self, z: Samples) -> Samples:
        """Of mean 0 and standard deviation 1 in each channel; any precision, any device."""
        return (z - _channels(self.mean, z)) / _channels(self.std, z)

    def restore(self, normalised: Samples) -> Samples:
        """Undoes `normalise`."""
        return normalised * _channels(self.std, normalised) + _channels(self.mean, normalised)

    @property
    def scaling_factor(self) -> float:
        """1 / standard deviation over all elements: what other projects scale by (SPEC S9.4)."""
        mean, std = self.mean.double(), self.std.double()
        variance = std.square().mean() + mean.var(correction=0)
        return (1 / variance.sqrt()).item()

    @property
    def origin(self) -> str:
        """Where the numbers are from, in words."""
        return f"as measured on {self.data}" if self.count else self.data

    def misfit(self, mean: Tensor, std: Tensor) -> str | None:
        """The channel of latents with this mean and deviation (C,) that is farthest from mean 0
        and deviation 1 once it is normalised, in words; None: no channel is far."""
        mean, std = (mean.float() - self.mean) / self.std, std.float() / self.std
        off = torch.maximum(std.log().abs() / math.log(FAR), mean.abs() / FAR)
        channel = int(off.argmax())
        if off[channel] <= 1:
            return None
        return (
            f"channel {channel} has mean {mean[channel]:.2g} and deviation {std[channel]:.2g} "
            "where diffusion expects 0 and 1"
        )

    def save(self, folder: str | Path) -> None:
        """Writes latents.json."""
        values = {
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
            "count": self.count,
            "data": self.data,
            "vae": self.vae,
            "image_size": self.image_size,
        }
        write_text(Path(folder) / LATENTS, json.dumps(values, indent=1) + "\n")


def _channels(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like).view(1, -1, *[1] * (like.ndim - 2))


def read_statistics(folder: Path, *, channels: int, vae: str) -> LatentStatistics | None:
    """Of latents.json in `folder`; None without one.

    Args:
        channels, vae: of the weights beside it, which it must be of.

    Raises:
        CheckpointError: it cannot be read, or is of other weights.
    """
    path = folder / LATENTS
    try:
        values = read_json(path)
        statistics = LatentStatistics(
            torch.tensor(values["mean"], dtype=torch.float32),
            torch.tensor(values["std"], dtype=torch.float32),
            int(values["count"]),
            str(values["data"]),
            str(values["vae"]),
            _size(values.get("image_size")),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} cannot be read as statistics of latents: {reason}") from None
    _check(statistics, channels, str(path))
    if statistics.vae != vae:
        raise CheckpointError(
            f"{path} is of the VAE {statistics.vae}, the weights beside it are {vae}; "
            f"take both files from one model, or measure again: {how_to_measure(folder)}"
        )
    return statistics


def statistics_of_config(
    options: Mapping[str, Any], *, channels: int, vae: str, where: str
) -> LatentStatistics | None:
    """What a config.json of diffusers itself names: latents_mean and latents_std, which
    scaling_factor divides (as in its StableDiffusionXLPipeline, z = x_0 std / factor + mean), or
    scaling_factor with or without shift_factor. None if it names neither.

    Raises:
        CheckpointError: of another number of channels, or no scale.
    """
    by_channel = [options.get(key) for key in ("latents_mean", "latents_std")]
    shift, factor = options.get("shift_factor"), options.get("scaling_factor")
    if None in by_channel and factor is None:
        return None
    try:
        if None in by_channel:
            mean = torch.full((channels,), float(shift or 0))
            std = 1 / torch.full((channels,), float(factor or 0))
        else:
            mean, std = (torch.tensor(values, dtype=torch.float32) for values in by_channel)
            std = std / (1.0 if factor is None else float(factor))
    except (TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{where} names no statistics of latents: {error}") from None
    statistics = LatentStatistics(mean, std, 0, f"as {where} says", vae)
    _check(statistics, channels, where)
    return statistics


def how_to_measure(source: str | Path, data: str = "DATA", image_size: int | None = None) -> str:
    """The command that gives a VAE statistics."""
    size = f" --data.image-size {image_size}" if image_size else ""
    return f"textdiff vae --vae {source} --data {data}{size} --out FOLDER"


def _size(value: Any) -> int | None:
    """Of latents.json, which says none where it is older. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"image_size {value!r}")
    return value


def _check(statistics: LatentStatistics, channels: int, where: str) -> None:
    shapes = (statistics.mean.shape, statistics.std.shape)
    if shapes != ((channels,), (channels,)):
        counts = " and ".join(str(shape.numel()) for shape in shapes)
        raise CheckpointError(
            f"{where} has {counts} entries for mean and std; the VAE has {channels} latent channels"
        )
    finite = statistics.mean.isfinite().all() and statistics.std.isfinite().all()
    if not finite or not (statistics.std > 0).all():
        raise CheckpointError(
            f"{where} has no scale of latents: std {statistics.std.tolist()}, "
            f"mean {statistics.mean.tolist()}; every std must be above 0 and finite"
        )
