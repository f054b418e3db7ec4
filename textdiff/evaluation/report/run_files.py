"""What lies in a run folder: its kind, its settings, its log, and hashes of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from textdiff.checkpoint import checkpoints, newest_good
from textdiff.clip.noised import CONFIG as NOISED_CLIP_FILE
from textdiff.clip.source import CONFIG as CLIP_FILE
from textdiff.data.of_run import RUN_CONFIG
from textdiff.errors import CheckpointError
from textdiff.evaluation.report.log import Log, read_log
from textdiff.manifests import read_manifest, sha256_of
from textdiff.pipeline.loading import MODEL_FILE, VAE_FOLDER
from textdiff.vae.source import CONFIG as VAE_CONFIG

Kind: TypeAlias = Literal[
    "text-to-image model", "CLIP", "noised CLIP", "VAE", "run without weights"
]

LOG = "metrics.jsonl"
VAE_FILE = f"{VAE_FOLDER}/{VAE_CONFIG}"
KINDS: dict[str, Kind] = {
    MODEL_FILE: "text-to-image model",
    NOISED_CLIP_FILE: "noised CLIP",
    CLIP_FILE: "CLIP",
    VAE_FILE: "VAE",  # models of latents have it too
}


@dataclass(frozen=True)
class WeightsFile:
    """name: in the run folder."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class RunFiles:
    """config: config.yaml as it stands; None: there is none. log: None: there is none. weights: of
    the newest good checkpoint, or of an exported model."""

    folder: Path
    kind: Kind
    config: str | None
    log: Log | None
    weights: list[WeightsFile]


def find_run(name: str) -> tuple[Path, Kind]:
    """The folder and what it holds. Raises CheckpointError: no such folder, or no run in it."""
    folder = Path(name).expanduser()
    what = (
        "give a run folder of textdiff train, train-clip, finetune-clip or train-vae, or an "
        "exported model"
    )
    if not folder.is_dir():
        reason = "is a file" if folder.exists() else "does not exist"
        raise CheckpointError(f"--run {name} {reason}; {what}")
    kind = next((kind for file, kind in KINDS.items() if (folder / file).is_file()), None)
    if kind is None and not any((folder / file).is_file() for file in (RUN_CONFIG, LOG)):
        raise CheckpointError(
            f"--run {name} has none of {', '.join([RUN_CONFIG, LOG, *KINDS])}; {what}"
        )
    return folder, kind or "run without weights"


def open_run(name: str) -> RunFiles:
    """Raises CheckpointError: as `find_run`."""
    folder, kind = find_run(name)
    config = folder / RUN_CONFIG
    return RunFiles(
        folder=folder,
        kind=kind,
        config=config.read_text("utf-8", errors="replace") if config.is_file() else None,
        log=read_log(folder / LOG),
        weights=hashes_of(folder),
    )


def hashes_of(folder: Path) -> list[WeightsFile]:
    """Of the newest good checkpoint as its manifest states them, and of weights beside it."""
    files = [
        WeightsFile(file.name, file.stat().st_size, sha256_of(file))
        for file in sorted(folder.glob("*.safetensors"))
    ]
    if not any(checkpoints(folder / "checkpoints")):
        return files
    try:
        newest, _ = newest_good(folder / "checkpoints")
    except CheckpointError:  # said where the model is loaded
        return files
    assert newest is not None  # there are checkpoints, and none of them is bad
    return files + [
        WeightsFile(f"{newest.relative_to(folder)}/{name}", size, sha256)
        for name, (size, sha256) in read_manifest(newest).items()
    ]
