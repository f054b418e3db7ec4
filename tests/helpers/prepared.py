"""Command lines that several tests share."""

from __future__ import annotations

from pathlib import Path


def decoder_flags(configs: Path, shapes: Path, clip: Path, embeddings: Path) -> list[str]:
    """Of `textdiff train` of a small unCLIP decoder: all but --run-dir."""
    flags = ["--config", configs / "unet.yaml", "--data.source", shapes, "--clip", clip]
    flags += ["--embeddings", embeddings, "--caption-drop", "0.5"]
    return list(map(str, flags))
