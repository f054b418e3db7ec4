"""`textdiff ckpt export`: the model of one checkpoint as a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textdiff.errors import CheckpointError, UsageError
from textdiff.training.settings.kept import CkptExportSettings

if TYPE_CHECKING:
    from textdiff.clip.model import ClipModel
    from textdiff.clip.noised import NoisedClip


def run(settings: CkptExportSettings) -> None:
    """Load the checkpoint, write the folder.

    Raises:
        UsageError: files in `out`. CheckpointError: no such checkpoint, or one that cannot be used.
    """
    from textdiff.files import check_folder
    from textdiff.training.kept import contents

    check_folder("--out", settings.out)
    if any(Path(settings.out).glob("*")):
        raise UsageError(f"--out {settings.out} has files in it; name a new folder")
    folder = Path(settings.run).expanduser()
    found = contents(folder, settings.step)
    note = _export(folder, found.kept.step, Path(found.kept.folder), Path(settings.out))
    print(f"{settings.out}: the model of step {found.kept.step}")
    if note:
        print(note)


def _export(run: Path, step: int, checkpoint: Path, out: Path) -> str | None:
    """By what the run trains: a U-Net, a prior, a VAE, a noised CLIP or a CLIP. What to know of
    it, if anything."""
    from textdiff.checkpoint import load_module, load_tensors
    from textdiff.clip.model import ClipModel
    from textdiff.clip.noised import NoisedClip
    from textdiff.pipeline import TextToImage
    from textdiff.pipeline.loading import VAE_FOLDER
    from textdiff.pipeline.prior import Prior
    from textdiff.vae import Vae

    if (checkpoint / "unet.safetensors").is_file():
        TextToImage.load(run, "cpu", step).save(out)
        return None
    if (checkpoint / "prior.safetensors").is_file():
        Prior.load(run, "cpu", step).save(out)
        return None
    if (checkpoint / "vae.safetensors").is_file():
        return _export_vae(run, checkpoint, out)
    kinds: dict[str, type[ClipModel] | type[NoisedClip]]
    kinds = {"noised_clip": NoisedClip, "clip": ClipModel}
    for name, kind in kinds.items():
        weights = checkpoint / f"{name}.safetensors"
        if weights.is_file():
            clip = _like(kind, run)
            load_module(clip, load_tensors(weights), weights)
            of_latents = isinstance(clip, NoisedClip) and clip.latents is not None
            vae = Vae.load(run / VAE_FOLDER) if of_latents else None
            clip.save(out)
            if vae is not None:
                vae.save(out / VAE_FOLDER)
            return None
    raise CheckpointError(f"{checkpoint} holds no model that this command knows")


def _export_vae(run: Path, checkpoint: Path, out: Path) -> str | None:
    """Its averaged weights; with the statistics of the run's newest step, if it is of that."""
    from textdiff.checkpoint import load_module, load_tensors
    from textdiff.vae import Vae
    from textdiff.vae.statistics import how_to_measure

    averages, own = checkpoint / "ema.safetensors", checkpoint / "vae.safetensors"
    weights = averages if averages.is_file() else own
    try:
        newest = Vae.load(run)
    except CheckpointError:  # its weights are not needed
        newest = Vae.untrained_like(run)
    tensors = {
        name.removeprefix("autoencoder."): tensor
        for name, tensor in load_tensors(weights).items()
        if name.startswith("autoencoder.")
    }
    load_module(newest.network, tensors, weights)
    vae = Vae(newest.network)
    if newest.statistics and newest.statistics.vae == vae.identity:
        vae.statistics = newest.statistics
    vae.save(out)
    if vae.statistics:
        return None
    how = how_to_measure(out, image_size=newest.image_size)
    return f"the latents of this step were not measured; before diffusion in them: {how}"


def _like(kind: type[ClipModel] | type[NoisedClip], run: Path) -> ClipModel | NoisedClip:
    """The run's export, which is of the newest step: the same architecture and tokenizer. If its
    weights are damaged, they are not needed."""
    try:
        return kind.load(run)
    except CheckpointError:
        return kind.untrained_like(run)
