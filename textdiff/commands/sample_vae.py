"""`textdiff sample --vae`: pictures of z ~ N(0, I), decoded. One PNG each, and a grid."""

from __future__ import annotations

from pathlib import Path


def sample_vae(
    source: str, *, num_images: int, seed: int, first: int, out: Path, columns: int, device: str
) -> None:
    """Load, draw, save, and say so where the VAE's latents are not N(0, I).

    Args:
        first: number of the first picture, also in the folder, where later ones are there already.

    Raises:
        CheckpointError: no VAE there. UsageError: a hub name that cannot be downloaded.
    """
    from textdiff.data import labelled_grid, to_pil
    from textdiff.data.picture_files import next_number
    from textdiff.devices import pick_device
    from textdiff.evaluation.tables import print_notes
    from textdiff.files import check_folder, replacing
    from textdiff.pipeline.vae_samples import draw_from_prior, note_on_prior
    from textdiff.threads import settle_threads
    from textdiff.vae import Vae

    check_folder("--out", out)
    device = pick_device(device)
    vae = Vae.load(source, device)
    settle_threads(device)
    pictures = to_pil(draw_from_prior(vae, num_images, seed=seed, first=first))
    start = max(first, next_number(out))
    for k, picture in enumerate(pictures):
        with replacing(out / f"{start + k:05d}-seed{seed}.png") as temporary:
            picture.save(temporary)
    grid = out / (f"grid-{start:05d}.png" if (out / "grid.png").exists() else "grid.png")
    with replacing(grid) as temporary:
        labels = [str(first + k) for k in range(num_images)]
        labelled_grid(pictures, labels, columns).save(temporary)
    print(f"{len(pictures)} pictures and {grid.name} in {out}")
    note = note_on_prior(vae)
    print_notes([note] if note else [])
