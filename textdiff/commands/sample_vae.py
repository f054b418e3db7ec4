"""`textdiff sample --vae`: pictures of z ~ N(0, I), decoded. One PNG each, and a grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textdiff.errors import UsageError

if TYPE_CHECKING:
    from textdiff.commands.sample import SampleSettings

TAKEN = frozenset({"vae", "num_images", "seed", "first", "out", "columns", "device"})


def sample_vae(settings: SampleSettings, start: int) -> None:
    """Load, draw, save, and say so where the VAE's latents are not N(0, I).

    Args:
        start: number of the first picture in the folder.

    Raises:
        UsageError: a setting that is of text-to-image models.
        CheckpointError: no VAE there.
    """
    from textdiff.data import labelled_grid, to_pil
    from textdiff.devices import pick_device
    from textdiff.evaluation.tables import print_notes
    from textdiff.files import check_folder, replacing
    from textdiff.pipeline.vae_samples import draw_from_prior, note_on_prior
    from textdiff.threads import settle_threads
    from textdiff.vae import Vae

    others = sorted(settings.model_fields_set - TAKEN)
    if others:
        raise UsageError(
            f"--vae draws from N(0, I), with no prompt and no text-to-image model; leave out "
            f"{others[0]}"
        )
    assert settings.vae is not None
    check_folder("--out", settings.out)
    device, out = pick_device(settings.device), Path(settings.out)
    vae = Vae.load(settings.vae, device)
    settle_threads(device)
    numbers = range(settings.first, settings.first + settings.num_images)
    pictures = to_pil(
        draw_from_prior(vae, settings.num_images, seed=settings.seed, first=settings.first)
    )
    start = max(start, settings.first)
    for k, picture in enumerate(pictures):
        with replacing(out / f"{start + k:05d}-seed{settings.seed}.png") as temporary:
            picture.save(temporary)
    grid = out / (f"grid-{start:05d}.png" if (out / "grid.png").exists() else "grid.png")
    with replacing(grid) as temporary:
        labels = [str(number) for number in numbers]
        labelled_grid(pictures, labels, settings.columns).save(temporary)
    print(f"{len(pictures)} pictures and {grid.name} in {out}")
    note = note_on_prior(vae)
    print_notes([note] if note else [])
