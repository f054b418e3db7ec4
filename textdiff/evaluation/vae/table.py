"""The tables of `textdiff vae`."""

from __future__ import annotations

import torch

from textdiff.data.config import DataConfig
from textdiff.evaluation.tables import estimate_cells, print_notes, print_table, with_interval
from textdiff.evaluation.vae.result import VaeResult
from textdiff.metrics.sample_size import too_few
from textdiff.vae.model import Vae
from textdiff.vae.statistics import how_to_measure

FORMATS = {
    "PSNR": ".2f",
    "SSIM": ".4f",
    "KL,": ",.0f",
    "KID": ".5f",
    "R@1": ".1%",
}  # by how names begin


def print_vae(result: VaeResult, source: str) -> None:
    """What is measured of pictures, then the channels of their latents. source: whose pictures."""
    rows = [estimate_cells(name, each, digits_of(name)) for name, each in result.estimates()]
    title = f"Reconstructions of {result.pictures} pictures of {source}"
    print_table(title, ["", "value", "95% interval"], rows)
    print_table(
        "Latents by channel, 95% intervals; KL of a picture",
        ["", "mean", "deviation", "nats off N(0, 1)", "KL, bits"],
        [
            [
                str(number),
                with_interval(channel.mean, 1, ".2f"),
                with_interval(channel.std, 1, ".2f"),
                with_interval(channel.distance, 1, ".3f"),
                with_interval(channel.kl_bits, 1, ",.0f"),
            ]
            for number, channel in enumerate(result.channels)
        ],
    )
    print_notes(too_few("mean", result.pictures))


def note_on_scale(vae: Vae, result: VaeResult, data: DataConfig) -> str | None:
    """Where diffusion in these latents would have them on another scale than it expects."""
    if vae.statistics is None:
        return None
    moments = ((channel.mean.value, channel.std.value) for channel in result.channels)
    mean, std = (torch.tensor(values) for values in zip(*moments, strict=True))
    misfit = vae.statistics.misfit(mean, std)
    if misfit is None:
        return None
    return (
        f"latents are normalised {vae.statistics.origin}; of these pictures {misfit}; to measure "
        f"on them: {how_to_measure(vae.source, data.source, data.image_size)}"
    )


def digits_of(name: str) -> str:
    """The format of an estimate of `VaeResult`, by its name."""
    return next(form for start, form in FORMATS.items() if name.startswith(start))
