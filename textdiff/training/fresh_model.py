"""What `textdiff train` starts from: a fresh U-Net that fits data and CLIP, and its prompts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch

from textdiff.checkpoint import checkpoints
from textdiff.clip.model import ClipModel
from textdiff.config import build, to_yaml
from textdiff.data.order import EndlessOrder
from textdiff.data.training_data import TrainingData
from textdiff.diffusion.config import ProcessType
from textdiff.errors import CheckpointError, UsageError
from textdiff.files import write_text
from textdiff.manifests import write_manifest
from textdiff.models.config import UNetConfig
from textdiff.models.unet import UNet
from textdiff.pictures import BitCodec, PictureCodec, PixelCodec
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.loading import CLIP_FOLDER, MODEL_FILE, VAE_FOLDER
from textdiff.pipeline.text_to_image import TextToImage
from textdiff.randomness import seed_of, weights_drawn_by
from textdiff.vae import LatentCodec, Vae


def fit_unet(
    unet: UNetConfig,
    *,
    clip: ClipModel,
    text_layers: Sequence[int],
    codec: PictureCodec,
    process: ProcessType,
    loss: str,
    use_pooled: bool,
    decoder: bool = False,
) -> UNetConfig:
    """The U-Net's settings with the size of x_t and text widths taken from data and CLIP.

    A learned variance is trained by the bound: loss hybrid always learns one, vlb only with
    `unet.learned_variance`.

    Args:
        text_layers: of the CLIP's text tower that the U-Net attends to.
        codec: of the data's pictures.
        loss: the objective's.
        use_pooled: whether the U-Net sees the pooled text feature.
        decoder: whether it sees the CLIP embedding of a picture.

    Raises:
        UsageError: a size that was set by hand and disagrees, or one the U-Net cannot halve;
            channels that are not those of a picture; a learned variance that nothing trains; a
            layer that the text tower lacks.
    """
    clip.check_layers(text_layers)
    binary = process == "binary"
    if unet.learned_variance and (binary or loss not in ("hybrid", "vlb")):
        raise UsageError(
            f"{'process binary' if binary else f'objective.loss {loss}'} trains no variance; use "
            "hybrid or vlb, or leave out unet.learned_variance"
        )
    given = {
        "image_size": codec.shape[-1],
        "in_channels": codec.shape[0],
        "cross_attention_dim": clip.text_width * len(text_layers),
        "pooled_dim": clip.embed_dim if use_pooled else None,
        "image_dim": clip.embed_dim if decoder else None,
        **({"learned_variance": True} if loss == "hybrid" else {}),
    }
    for name in unet.model_fields_set & given.keys():
        if getattr(unet, name) != given[name]:
            raise UsageError(
                f"unet.{name} is {getattr(unet, name)}, but data, CLIP and objective ask for "
                f"{given[name]}; leave it out"
            )
    if unet.out_channels not in (None, given["in_channels"]):
        raise UsageError(
            f"unet.out_channels is {unet.out_channels}, but x_t has {given['in_channels']} "
            "channels; leave it out"
        )
    return build(UNetConfig, [("unet", {**unet.model_dump(), **given})])


def codec_of(vae: Vae | None, image_size: int, process: ProcessType) -> PictureCodec:
    """Of pictures of this size.

    Raises:
        UsageError: the VAE's factor does not divide it. CheckpointError: a VAE without statistics.
    """
    if vae is not None:
        return LatentCodec(vae, image_size)
    return BitCodec(image_size) if process == "binary" else PixelCodec(image_size)


def fresh_pipeline(
    config: ModelConfig, *, clip: ClipModel, seed: int, vae: Vae | None = None
) -> TextToImage:
    """A pipeline around a fresh U-Net, its weights a function of the seed."""
    with weights_drawn_by(seed_of(seed, "unet")):
        unet = UNet(config.unet)
    return TextToImage(unet, clip, config, vae=vae)


def preview_prompts(
    data: TrainingData, pipe: TextToImage, *, count: int, config: SamplingConfig
) -> dict[str, int]:
    """`count` captions from all over the data, no two alike, that the text tower sees whole, and
    the index of an image of each; a function of `config.seed`.

    Raises:
        UsageError: they cannot be drawn as `config` says.
    """
    _, ids = EndlessOrder(len(data), config.seed).at(torch.arange(len(data)))
    captions: dict[str, int] = {}
    for index in ids.tolist():
        captions.setdefault(data.captions[index][0], index)
    fitting = (item for item in captions.items() if pipe.fits(item[0]))
    prompts = dict(itertools.islice(fitting, count))
    if prompts:
        width = pipe.config.unet.image_dim
        image = torch.ones(len(prompts), width) if width else None
        try:
            pipe.plan(list(prompts), config, image=image)
        except UsageError as error:
            raise UsageError(f"preview: {error}") from None
    return prompts


def check_same_clip(folder: Path, clip: ClipModel) -> None:
    """Raises CheckpointError if the run in `folder` has checkpoints made with another CLIP."""
    kept = folder / CLIP_FOLDER
    if not kept.is_dir() or not any(checkpoints(folder / "checkpoints")):
        return
    if ClipModel.load(kept).weights_hash() != clip.weights_hash():
        raise CheckpointError(
            f"{folder} was trained with another CLIP than --clip names; "
            f"use --clip {kept} or another --run-dir"
        )


def write_model(folder: Path, pipe: TextToImage) -> None:
    """Writes what, beside checkpoints, makes the run folder loadable as a model."""
    pipe.clip.save(folder / CLIP_FOLDER)
    if pipe.vae is not None:
        pipe.vae.save(folder / VAE_FOLDER)
    write_text(folder / MODEL_FILE, to_yaml(pipe.config))
    write_manifest(folder, [MODEL_FILE])
