"""The pictures of a VAE's progress: held-out ones, above what it makes of them, above samples."""

from __future__ import annotations

from pathlib import Path

import torch

from textdiff.data.grid import labelled_grid, to_pil
from textdiff.files import replacing
from textdiff.pictures import to_float, to_uint8
from textdiff.randomness import Stream, normals
from textdiff.types import Pictures
from textdiff.vae.model import Vae


@torch.no_grad()
def draw_reconstructions(
    vae: Vae, pictures: Pictures, shape: tuple[int, int, int], seed: int, folder: Path, step: int
) -> None:
    """Writes a sheet into `folder`: the pictures, what the decoder makes of their posteriors' means
    and of z ~ N(0, I), the same z each time.

    Args:
        shape: of a picture's latents.
    """
    again = vae.decode(vae.moments(to_float(pictures)).mean)
    z = normals([Stream("vae sheet", seed, k) for k in range(len(pictures))], shape)
    images = torch.cat([pictures, to_uint8(again), to_uint8(vae.decode(z))])
    kinds = ("picture", "reconstruction", "of z ~ N(0, I)")
    labels = [kind for kind in kinds for _ in pictures]
    sheet = labelled_grid(to_pil(images), labels, columns=len(pictures))
    with replacing(folder / f"step-{step:06d}.png") as temporary:
        sheet.save(temporary)
