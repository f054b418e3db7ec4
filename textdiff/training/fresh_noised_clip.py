"""What `textdiff finetune-clip` starts from: a CLIP, and the diffusion model whose x_t it reads."""

from __future__ import annotations

from pathlib import Path

import torch

from textdiff.clip.config import NoisedClipConfig
from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.data.base import CaptionedImages
from textdiff.errors import UsageError
from textdiff.pictures import to_float
from textdiff.pipeline.config import ModelConfig
from textdiff.pipeline.loading import VAE_FOLDER, read_config
from textdiff.training.latents import LatentEncoder
from textdiff.training.learning.probe import pictures_all_over
from textdiff.vae import Vae

FITTED = 128  # pictures; each has dozens of patches


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


def read_vae(model: ModelConfig, folder: str, codec: str | None) -> Vae | None:
    """The VAE whose latents `model`, in `folder`, draws; None: it draws pixels.

    Args:
        codec: the same VAE elsewhere; None: it is in the model's folder.

    Raises:
        UsageError: `codec` is another one. CheckpointError: no VAE there.
    """
    if model.vae is None:
        if codec is not None:
            raise UsageError(
                f"--codec {codec}, but {folder} draws pixels, not latents; leave it out, or name "
                "a model that was trained with --codec"
            )
        return None
    own = Vae.load(Path(folder).expanduser() / VAE_FOLDER)
    if codec is not None and Vae.load(codec).space != own.space:
        raise UsageError(
            f"--codec {codec} is another VAE than that of {folder}; leave it out, or name the same"
        )
    return own


def fresh_noised_clip(
    init: str, model: ModelConfig, *, clean_below: int, seed: int, vae: Vae | None = None
) -> NoisedClip:
    """The CLIP `init` with timestep layers for the x_t of `model`.

    Args:
        clean_below: smaller timesteps are left to the image tower as it was.
        vae: whose latents x_t are; the image tower gets a first layer for them.

    Raises:
        UsageError: no timestep is left to train on, or a tower that cannot read latents.
    """
    if vae is not None and clean_below:
        raise UsageError(
            f"--noise.clean-below {clean_below}: the image tower as it was reads pixels, the "
            "model draws latents; leave it out"
        )
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
        latents=None if vae is None else vae.space,
        clean_below=clean_below,
        source=init,
        source_weights=clean.weights_hash(),
    )
    return NoisedClip(clean, config, seed)


@torch.no_grad()
def start_from_pixels(clip: NoisedClip, data: CaptionedImages, latents: LatentEncoder) -> None:
    """Fits the first layer of `clip`, which reads latents, on some of the data; see
    `NoisedClip.start_from_pixels`. Raises DataError as `CaptionedImages.read`."""
    pictures = torch.cat(list(pictures_all_over(data, FITTED, seed=0)))
    clip.start_from_pixels(to_float(pictures), latents.codec.encode(pictures))
