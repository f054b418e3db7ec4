"""Whether a VAE's latents of the training pictures have the scale that diffusion relies on.

A foreign config.json always names a scaling_factor: diffusers writes its default, the 0.18215 of
Stable Diffusion, for every network that nobody measured. So it is tried on a few pictures.
"""

from __future__ import annotations

from pathlib import Path

from textdiff.checkpoint import checkpoints
from textdiff.data.base import CaptionedImages
from textdiff.errors import CheckpointError
from textdiff.metrics.latents import measure_latents
from textdiff.vae.model import Vae
from textdiff.vae.statistics import how_to_measure

PICTURES = 16  # a scale that is off by a factor shows in a few


def check_scale(run: Path, vae: Vae, data: CaptionedImages) -> None:
    """Refuses the scale of a config.json that does not fit; of one that was measured, on other
    pictures, `data.notes` say so. A run that has checkpoints goes on as it began.

    Raises:
        CheckpointError: names the channel, and the command that measures.
    """
    if any(checkpoints(run / "checkpoints")):
        return
    statistics = vae.measured()
    found = measure_latents(vae, data, PICTURES)
    misfit = statistics.misfit(found.mean, found.std)
    if misfit is None:
        return
    how = how_to_measure(vae.source, data.config.source, data.image_size)
    told = f"of {found.count} pictures of {data.name}, normalised, {misfit}"
    if not statistics.count:
        raise CheckpointError(
            f"{vae.source}: the scale of its latents, {statistics.data}, is not that of these: "
            f"{told}; measure it, and give --codec the folder: {how}"
        )
    data.notes.append(
        f"latents of {vae.source} are normalised {statistics.origin}; {told}; to measure on these: "
        f"{how}"
    )
