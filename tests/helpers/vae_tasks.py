"""A VAE task of a few weights on a few shapes, and a Trainer around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelerate import Accelerator

from textdiff.config import build
from textdiff.training.loop import Trainer
from textdiff.training.run_folder import RunFolder
from textdiff.training.settings.vae import TrainVaeSettings
from textdiff.training.specs.vae import vae_spec

TINY: dict[str, Any] = {
    "vae": {"block_channels": (8, 8, 16), "latent_channels": 2, "norm_groups": 4},
    "train": {"batch_size": 4, "warmup_steps": 0, "precision": "no", "tensorboard": False},
    "data": {"image_size": 16, "min_side": 4, "max_bad_fraction": 0.5},
    "eval_images": 4,
}


def tiny_settings(shapes: Path, run_dir: Path, **changes: Any) -> TrainVaeSettings:
    """changes: by dotted key, its dots written as two underscores."""
    flat = {key.replace("__", "."): value for key, value in changes.items()}
    layers = [TINY, {"data.source": str(shapes)}, {"run_dir": str(run_dir)}, flat]
    return build(TrainVaeSettings, [("test", layer) for layer in layers])


def tiny_trainer(settings: TrainVaeSettings) -> Trainer:
    spec, accelerator = vae_spec(settings), Accelerator(cpu=True)
    return Trainer(
        task=spec.build_task(accelerator),
        data=spec.data,
        config=spec.config,
        accelerator=accelerator,
        run=RunFolder(settings.run_dir),
        seed=spec.seed,
        ema_decay=spec.ema_decay,
        fixed=spec.fixed,
    )
