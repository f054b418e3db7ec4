"""A model folder read: its settings, its weights, its CLIP.

A model folder holds model.yaml and clip/, one of latents vae/ besides; its weights are
unet.safetensors (exported, beside manifest.json) or the moving averages of the newest good
checkpoint (a run folder). What a manifest lists is verified first.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textdiff import checkpoint
from textdiff.clip.model import ClipModel
from textdiff.config import SettingsT, build, read_yaml
from textdiff.errors import CheckpointError, UsageError
from textdiff.manifests import verify_folder
from textdiff.pipeline.config import ModelConfig
from textdiff.vae import Vae

MODEL_FILE = "model.yaml"
WEIGHTS_FILE = "unet.safetensors"
CLIP_FOLDER = "clip"
VAE_FOLDER = "vae"


def read_config(folder: Path) -> ModelConfig:
    """What model.yaml in `folder` says. Raises CheckpointError."""
    return read_description(folder, MODEL_FILE, ModelConfig, "textdiff train")


def read_description(
    folder: Path, name: str, schema: type[SettingsT], written_by: str
) -> SettingsT:
    """What the YAML file `name` in `folder` says of the model there.

    Raises:
        CheckpointError: no such file, or one that does not say it.
    """
    file = folder / name
    if not file.is_file():
        reason = f"has no {name}" if folder.is_dir() else "does not exist"
        raise CheckpointError(
            f"{folder} {reason}; give a run folder of {written_by}, or an exported model"
        )
    try:
        return build(schema, [(str(file), read_yaml(file))])
    except UsageError as error:
        raise CheckpointError(f"{file} describes no model of this version: {error}") from None


def find_weights(
    folder: Path, name: str = WEIGHTS_FILE, step: int | None = None
) -> tuple[Path, dict[str, Any]]:
    """The weights file of a model folder, and the state of the checkpoint it is part of, if any.

    name: that the file has but for averages.
    step: of the checkpoint; None: the newest good one.

    Raises:
        CheckpointError: no such checkpoint, or none that can be used.
    """
    exported = folder / name
    verify_folder(folder, ours=exported.is_file())  # a run's checkpoints are verified by themselves
    if step is not None:
        found = _checkpoint_at(folder, step)
    elif exported.is_file():
        return exported, {}
    else:
        found = _newest_checkpoint(folder)
    averages = found / "ema.safetensors"
    weights = averages if averages.is_file() else found / name
    return weights, checkpoint.load_state(found)


def _newest_checkpoint(folder: Path) -> Path:
    newest, damaged = checkpoint.newest_good(folder / "checkpoints")
    for message in damaged:
        logging.getLogger(__name__).warning("skipping a damaged checkpoint: %s", message)
    if newest is None:
        raise CheckpointError(f"{folder} has no checkpoint yet; train it for longer")
    return newest


def _checkpoint_at(folder: Path, step: int) -> Path:
    steps = checkpoint.steps_of(folder / "checkpoints")
    if step not in steps:
        kept = f"it keeps steps {', '.join(map(str, steps))}" if steps else "it keeps none"
        raise CheckpointError(f"{folder} has no checkpoint of step {step}; {kept}")
    found = steps[step]
    checkpoint.verify(found)
    return found


def check_trained_as(
    config: ModelConfig, fixed: Mapping[str, Any], file: Path, trained: Path
) -> None:
    """Raises CheckpointError if model.yaml now reads the network's output in another way than the
    training did: the weights would load, and draw nonsense."""
    described = {
        "process": config.process,
        "prediction": config.prediction,
        "text_layers": list(config.text_layers),
        "text_padding": config.text_padding,
    }
    for section in ("schedule", "binary"):
        values = getattr(config, section).model_dump(mode="json")
        described |= {f"{section}.{key}": value for key, value in values.items()}
    check_described(described, fixed, file, trained)


def check_described(
    described: Mapping[str, Any], fixed: Mapping[str, Any], file: Path, trained: Path
) -> None:
    """Raises CheckpointError if `described`, from `file`, is not what the training was given.

    fixed: what the checkpoint in `trained` says of it; keys that it lacks are let through.
    """
    for key, value in described.items():
        if key in fixed and fixed[key] != value:
            raise CheckpointError(
                f"{file} says {key} {value}, but {trained} was trained with {fixed[key]}; "
                "put that back"
            )


def load_clip(folder: Path, config: ModelConfig, weights: str | None = None) -> ClipModel:
    """The CLIP in `folder`: the one that `config` names is where it came from, and may be a name
    that is looked up on the network.

    weights: hash of those of the training; None: not known.

    Raises:
        CheckpointError: none there, or not that of the U-Net's training.
    """
    source = folder / CLIP_FOLDER
    if not source.is_dir():
        raise CheckpointError(
            f"{folder} has no {CLIP_FOLDER}/; put the CLIP of its training there: "
            f"{config.clip!r} was its source"
        )
    clip = ClipModel.load(source)
    width = clip.text_width * len(config.text_layers)
    if width != config.unet.cross_attention_dim:
        raise CheckpointError(
            f"{source} has text features of width {width}, the U-Net of {folder} was "
            f"trained on {config.unet.cross_attention_dim}; put the CLIP of its training there"
        )
    if weights is not None and clip.weights_hash() != weights:
        raise CheckpointError(
            f"{source} is not the CLIP that the U-Net of {folder} was trained on; put that one "
            f"there: {config.clip!r} was its source"
        )
    return clip


def load_vae(folder: Path, config: ModelConfig, fixed: Mapping[str, Any]) -> Vae | None:
    """The VAE in `folder`; None where pixels are diffused.

    fixed: what the checkpoint says of its training.

    Raises:
        CheckpointError: none there, without statistics, or not that of the U-Net's training.
    """
    if config.vae is None:
        return None
    source = folder / VAE_FOLDER
    if not source.is_dir():
        raise CheckpointError(
            f"{folder} has no {VAE_FOLDER}/; put the VAE of its training there: "
            f"{config.vae!r} was its source"
        )
    vae = Vae.load(source)
    now = vae.space.model_dump(mode="json")
    differs = fixed.get("latent_space", now) != now
    shape = (config.unet.in_channels, config.vae_factor)
    if differs or (vae.latent_channels, vae.factor) != shape:
        raise CheckpointError(
            f"{source} is not the VAE whose latents the U-Net of {folder} was trained on; put that "
            f"one back: {config.vae!r} was its source"
        )
    return vae
