"""What `textdiff train` trains: a U-Net on captioned images, conditioned on a frozen CLIP."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from textdiff.clip.model import ClipModel
from textdiff.data.base import CaptionedImages
from textdiff.data.open import open_data
from textdiff.pipeline.config import ModelConfig
from textdiff.pipeline.text_to_image import TextToImage
from textdiff.training.captions import CaptionEmbeddings
from textdiff.training.fresh_model import (
    check_same_clip,
    codec_of,
    fit_unet,
    fresh_pipeline,
    preview_prompts,
    write_model,
)
from textdiff.training.held_out import open_held_out
from textdiff.training.latent_images import LatentImages, latent_images
from textdiff.training.latent_scale import check_scale
from textdiff.training.latents import LatentEncoder, fixed_of
from textdiff.training.picture_embeddings import PictureEmbeddings, load_picture_embeddings
from textdiff.training.run import TrainingSpec
from textdiff.training.settings.text_to_image import TrainSettings
from textdiff.training.tasks.binary import BinaryTask
from textdiff.training.tasks.diffusion import DiffusionTask
from textdiff.vae import LatentCodec, Vae

if TYPE_CHECKING:
    from pathlib import Path

    from accelerate import Accelerator

# what must not change while a run lasts
FIXED = ("process", "prediction", "use_pooled", "text_layers", "caption_drop", "ema_decay")
FIXED_SECTIONS = ("unet", "schedule", "objective", "binary")


def text_to_image_spec(settings: TrainSettings) -> TrainingSpec:
    """Loads data and CLIP and builds the U-Net.

    Raises:
        UsageError, DataError, CheckpointError: what `settings` name cannot be used.
    """
    data, held_out = open_data(settings.data, "train"), open_held_out(settings.data)
    clip = ClipModel.load(settings.clip).freeze()
    vae = None if settings.codec is None else Vae.load(settings.codec)
    codec = codec_of(vae, settings.data.image_size, settings.process)
    unet = fit_unet(
        settings.unet,
        clip=clip,
        text_layers=settings.text_layers,
        codec=codec,
        process=settings.process,
        loss=settings.objective.loss,
        use_pooled=settings.use_pooled,
        decoder=settings.embeddings is not None,
    )
    settings = settings.model_copy(update={"unet": unet})
    config = ModelConfig(
        clip=settings.clip,
        text_layers=settings.text_layers,
        text_padding=settings.text_padding,
        process=settings.process,
        prediction=settings.prediction,
        schedule=settings.schedule,
        binary=settings.binary,
        vae=settings.codec,
        vae_factor=1 if vae is None else vae.factor,
        unet=unet,
    )
    pipe = fresh_pipeline(config, clip=clip, seed=settings.seed, vae=vae)
    pictures = None
    if settings.embeddings is not None:
        splits = [data] if held_out is None else [data, held_out]
        pictures = load_picture_embeddings(settings.embeddings, clip, splits)

    latents: LatentEncoder | None = None
    seen: CaptionedImages | LatentImages = data
    if isinstance(codec, LatentCodec):
        latents = LatentEncoder(codec, settings.latents)
        seen = latent_images(data, latents)

    def build_task(accelerator: Accelerator) -> DiffusionTask | BinaryTask:
        pipe.to(accelerator.device)
        return _task(settings, pipe, seen, held_out, pictures, latents)

    def check(folder: Path) -> None:
        check_same_clip(folder, clip)
        if vae is not None:
            check_scale(folder, vae, data)

    return TrainingSpec(
        build_task=build_task,
        data=seen,
        config=settings.train,
        settings=settings,
        seed=settings.seed,
        fixed={**_fixed(settings, pictures, vae), "clip_weights": clip.weights_hash()},
        ema_decay=settings.ema_decay,
        check=check,
        prepare=lambda folder: write_model(folder, pipe),
        next_steps=_next_steps(settings, data),
    )


def _next_steps(settings: TrainSettings, data: CaptionedImages) -> dict[str, list[str]]:
    model = ["--model", settings.run_dir]
    caption = next((texts[0] for texts in data.captions if texts), "a caption")
    return {
        "pictures of a prompt": ["sample", *model, "--prompt", caption, "--num-images", "4"],
        "how well they match": ["clip-score", *model],
    }


def _task(
    settings: TrainSettings,
    pipe: TextToImage,
    data: CaptionedImages | LatentImages,
    held_out: CaptionedImages | None,
    pictures: PictureEmbeddings | None,
    latents: LatentEncoder | None,
) -> DiffusionTask | BinaryTask:
    """The task of the kind of diffusion that `settings` name."""
    preview = settings.preview
    prompts = preview_prompts(data, pipe, count=preview.num_prompts, config=preview)
    captions = data.all_captions + (held_out.all_captions if held_out else [])
    task: type[BinaryTask] | partial[DiffusionTask] = (
        BinaryTask
        if settings.process == "binary"
        else partial(DiffusionTask, objective=settings.objective)
    )
    return task(
        pipe=pipe,
        embed=CaptionEmbeddings(
            pipe.clip, captions, pipe.config.text_layers, padding=pipe.config.text_padding
        ),
        seed=settings.seed,
        caption_drop=settings.caption_drop,
        pictures=pictures,
        image_drop=settings.image_drop,
        latents=latents,
        held_out=held_out,
        eval_images=settings.eval_images,
        seen=data,
        prompts=list(prompts),
        prompt_ids=list(prompts.values()),
        preview=preview,
    )


def _fixed(
    settings: TrainSettings, pictures: PictureEmbeddings | None, vae: Vae | None
) -> dict[str, Any]:
    """Dotted keys, as in the settings; `TextToImage.load` compares some with model.yaml."""
    sections = {
        f"{section}.{key}": value
        for section in FIXED_SECTIONS
        for key, value in getattr(settings, section).model_dump(mode="json").items()
    }
    decoder = {}
    if pictures is not None:
        decoder = {"embeddings": pictures.fingerprint, "image_drop": settings.image_drop}
    of_vae = {} if vae is None else fixed_of(vae, settings.latents)
    fixed = settings.model_dump(mode="json", include=set(FIXED))
    padding = {"text_padding": True} if settings.text_padding else {}
    return {**fixed, **padding, **sections, **decoder, **of_vae}
