"""What `textdiff finetune-clip` starts from: a CLIP, and the diffusion model whose x_t it reads."""

from __future__ import annotations

from pathlib import Path

from textdiff.clip.config import NoisedClipConfig
from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.errors import UsageError
from textdiff.pipeline.config import ModelConfig
from textdiff.pipeline.loading import read_config


def check_apart(run_dir: str, flag: str, source: str) -> None:
    """Raises UsageError if a run in `run_dir` would write into `source`, which it starts from."""
    run, given = Path(run_dir).resolve(), Path(source.removeprefix("local-dir:")).expanduser()
    if run == given.resolve() or run in given.resolve().parents:
        raise UsageError(
            f"--run-dir {run_dir} holds --{flag} {source}, which must stay as it is; "
            "name another --run-dir"
        )


def read_process(folder: str) -> ModelConfig:
    """What the model in `folder` is; its weights are not needed.

    Raises:
        UsageError: its process is not Gaussian.
        CheckpointError: `folder` is no model.
    """
    model = read_config(Path(folder))
    if model.process != "gaussian":
        raise UsageError(
            f"{folder} is a model of process {model.process}; a noised CLIP reads Gaussian noise: "
            "name a gaussian one"
        )
    return model


def fresh_noised_clip(init: str, model: ModelConfig, *, clean_below: int, seed: int) -> NoisedClip:
    """The CLIP `init` with timestep layers for the x_t of `model`.

    Args:
        clean_below: smaller timesteps are left to the image tower as it was.

    Raises:
        UsageError: no timestep is left to train on.
    """
    T = model.schedule.num_timesteps
    if clean_below >= T:
        raise UsageError(
            f"--noise.clean-below {clean_below} leaves none of the model's timesteps 0..{T - 1} to "
            "train on; give a smaller one"
        )
    clean = ClipModel.load(init)
    config = NoisedClipConfig(
        image_size=model.unet.image_size,
        schedule=model.schedule.model_dump(mode="json"),
        clean_below=clean_below,
        source=init,
        source_weights=clean.weights_hash(),
    )
    return NoisedClip(clean, config, seed)
