"""What `textdiff train` starts from: a fresh U-Net that fits data and CLIP, and its task."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from textdiff.config import build
from textdiff.errors import UsageError
from textdiff.models.config import UNetConfig

if TYPE_CHECKING:
    from textdiff.clip import ClipModel
    from textdiff.commands.train import PreviewConfig, TrainSettings
    from textdiff.data import CaptionedImages
    from textdiff.pipeline import TextToImage
    from textdiff.training.captions import CaptionEmbeddings
    from textdiff.training.loop import Task


def fit_unet(settings: TrainSettings, clip: ClipModel) -> UNetConfig:
    """The U-Net's settings with image size and text widths taken from data and CLIP.

    The bound trains a variance: hybrid always, vlb where `unet.learned_variance` asks for one.

    Raises:
        UsageError: a size that was set by hand and disagrees, or one the U-Net cannot halve;
            channels that are not those of a picture; a learned variance that nothing trains.
    """
    unet, loss, binary = settings.unet, settings.objective.loss, settings.process == "binary"
    if unet.learned_variance and (binary or loss not in ("hybrid", "vlb")):
        raise UsageError(
            f"{'process binary' if binary else f'objective.loss {loss}'} trains no variance; use "
            "hybrid or vlb, or leave out unet.learned_variance"
        )
    found = {
        "image_size": settings.data.image_size,
        "in_channels": 1 if binary else 3,
        "cross_attention_dim": clip.text_width,
        "pooled_dim": clip.embed_dim if settings.use_pooled else None,
        **({"learned_variance": True} if loss == "hybrid" else {}),
    }
    for name in unet.model_fields_set & found.keys():
        if getattr(unet, name) != found[name]:
            raise UsageError(
                f"unet.{name} is {getattr(unet, name)}, but data, CLIP and objective ask for "
                f"{found[name]}; leave it out"
            )
    if unet.out_channels not in (None, found["in_channels"]):
        raise UsageError(
            f"unet.out_channels is {unet.out_channels}, but pictures have {found['in_channels']} "
            "channels; leave it out"
        )
    return build(UNetConfig, [("unet", {**unet.model_dump(), **found})])


def build_pipeline(settings: TrainSettings, clip: ClipModel) -> TextToImage:
    """A pipeline around a fresh U-Net, its weights a function of the seed."""
    import torch

    from textdiff.models import UNet
    from textdiff.pipeline import ModelConfig, TextToImage
    from textdiff.randomness import seed_of

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(settings.seed, "unet"))
        unet = UNet(settings.unet)
    config = ModelConfig(
        clip=settings.clip,
        process=settings.process,
        prediction=settings.prediction,
        schedule=settings.schedule,
        binary=settings.binary,
        unet=settings.unet,
    )
    return TextToImage(unet, clip, config)


def build_task(
    settings: TrainSettings,
    pipe: TextToImage,
    embed: CaptionEmbeddings,
    held_out: CaptionedImages | None,
    prompts: list[str],
) -> Task:
    """The task of the kind of diffusion that `settings` name."""
    from textdiff.training.tasks.binary import BinaryTask
    from textdiff.training.tasks.diffusion import DiffusionTask

    common = {
        "pipe": pipe,
        "embed": embed,
        "seed": settings.seed,
        "caption_drop": settings.caption_drop,
        "held_out": held_out,
        "eval_images": settings.eval_images,
        "prompts": prompts,
        "preview": settings.preview,
    }
    if settings.process == "binary":
        return BinaryTask(**common)
    return DiffusionTask(**common, objective=settings.objective)


def preview_prompts(preview: PreviewConfig, data: CaptionedImages, pipe: TextToImage) -> list[str]:
    """Captions from all over the data that the text tower sees whole; a function of the seed.

    Raises:
        UsageError: they cannot be drawn as `preview` says.
    """
    import torch

    from textdiff.data import EndlessOrder

    _, ids = EndlessOrder(len(data), preview.seed).at(torch.arange(len(data)))
    captions = (data.captions[index][0] for index in ids.tolist())
    fitting = (caption for caption in captions if pipe.fits(caption))
    prompts = list(itertools.islice(fitting, preview.num_prompts))
    if prompts:
        try:
            pipe.plan(prompts, preview)
        except UsageError as error:
            raise UsageError(f"preview: {error}") from None
    return prompts
