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
    _export(folder, found.kept.step, Path(found.kept.folder), Path(settings.out))
    print(f"{settings.out}: the model of step {found.kept.step}")


def _export(run: Path, step: int, checkpoint: Path, out: Path) -> None:
    """By what the run trains: a U-Net, a prior, a noised CLIP or a CLIP."""
    from textdiff.checkpoint import load_module, load_tensors
    from textdiff.clip.model import ClipModel
    from textdiff.clip.noised import NoisedClip
    from textdiff.pipeline import TextToImage
    from textdiff.pipeline.prior import Prior

    if (checkpoint / "unet.safetensors").is_file():
        TextToImage.load(run, "cpu", step).save(out)
        return
    if (checkpoint / "prior.safetensors").is_file():
        Prior.load(run, "cpu", step).save(out)
        return
    kinds: dict[str, type[ClipModel] | type[NoisedClip]]
    kinds = {"noised_clip": NoisedClip, "clip": ClipModel}
    for name, kind in kinds.items():
        weights = checkpoint / f"{name}.safetensors"
        if weights.is_file():
            clip = _like(kind, run)
            load_module(clip, load_tensors(weights), weights)
            clip.save(out)
            return
    raise CheckpointError(f"{checkpoint} holds no model that this command knows")


def _like(kind: type[ClipModel] | type[NoisedClip], run: Path) -> ClipModel | NoisedClip:
    """The run's export, which is of the newest step: the same architecture and tokenizer. If its
    weights are damaged, they are not needed."""
    try:
        return kind.load(run)
    except CheckpointError:
        return kind.untrained_like(run)
