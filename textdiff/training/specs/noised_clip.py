"""What `textdiff finetune-clip` trains: a CLIP on noised pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textdiff.clip.model import ClipModel
from textdiff.data.base import CaptionedImages
from textdiff.data.config import fit_data
from textdiff.data.of_run import data_of_run
from textdiff.data.open import open_data
from textdiff.diffusion.config import ScheduleConfig
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.pipeline.config import ModelConfig
from textdiff.pipeline.loading import VAE_FOLDER
from textdiff.training.captions import CaptionFeatures
from textdiff.training.fresh_noised_clip import (
    fresh_noised_clip,
    read_process,
    read_vae,
    start_from_pixels,
)
from textdiff.training.held_out import open_held_out
from textdiff.training.latent_images import LatentImages, latent_images
from textdiff.training.latents import LatentEncoder, fixed_of
from textdiff.training.pairs import check_batch, check_pairs
from textdiff.training.run import TrainingSpec, nothing
from textdiff.training.settings.noised_clip import FinetuneClipSettings
from textdiff.training.tasks.noised_clip import Distillation, NoisedClipTask
from textdiff.vae import LatentCodec, Vae

if TYPE_CHECKING:
    from accelerate import Accelerator

# what must not change while a run lasts
FIXED = ("train_text", "distill", "distill_by_signal", "max_shift")
FIXED_NOISE = ("clean_share", "clean_below")


def for_model(
    settings: FinetuneClipSettings,
) -> tuple[FinetuneClipSettings, ModelConfig, Vae | None]:
    """Settings with the data of the model whose noise they name, what that model is, and its VAE.

    Raises:
        UsageError, DataError, CheckpointError: no such model, or data and codec that are not its.
    """
    name = settings.noise.schedule_from
    model = read_process(name)
    vae = read_vae(model, name, settings.codec)
    data = data_of_run(settings.data, "--noise.schedule-from", name)
    data = fit_data(data, model.image_size, f"--noise.schedule-from {name}")
    return settings.model_copy(update={"data": data}), model, vae


def noised_clip_spec(
    settings: FinetuneClipSettings, model: ModelConfig, vae: Vae | None = None
) -> TrainingSpec:
    """Loads the data and the CLIP, for the x_t of `model`.

    vae: whose latents these are; None: pixels.

    Raises:
        UsageError, DataError, CheckpointError: what `settings` name cannot be used.
    """
    data, held_out = open_data(settings.data, "train"), open_held_out(settings.data)
    noise, distill = settings.noise, settings.distill
    clip = fresh_noised_clip(
        settings.init, model, clean_below=noise.clean_below, seed=settings.seed, vae=vae
    )
    latents: LatentEncoder | None = None
    read: CaptionedImages | LatentImages = data
    if vae is not None:
        latents = LatentEncoder(LatentCodec(vae, model.image_size), settings.latents)
        if not settings.reads_pictures:
            read = latent_images(data, latents)
        start_from_pixels(clip, data, latents)
    train = settings.train.for_tower(clip.clip.tower_kind)
    settings = settings.model_copy(update={"train": train})

    def build_task(accelerator: Accelerator) -> NoisedClipTask:
        if not distill:
            processes = accelerator.num_processes
            check_batch(train.batch_size, processes=processes, otherwise=", or --distill")
            check_pairs(data)
        clip.to(accelerator.device)
        if vae is not None:
            vae.to(accelerator.device)
        texts = None if settings.train_text else CaptionFeatures(clip, data.all_captions)
        distillation = None
        if distill:
            teacher, by_signal = ClipModel.load(settings.init).freeze(), settings.distill_by_signal
            distillation = Distillation(teacher=teacher, weight=distill, by_signal=by_signal)
        return NoisedClipTask(
            clip=clip.train_parts(text=settings.train_text),
            schedule=NoiseSchedule.from_config(ScheduleConfig(**clip.schedule_config)),
            seed=settings.seed,
            density=noise,
            texts=texts,
            distillation=distillation,
            clean_share=noise.clean_share,
            held_out=held_out,
            eval_images=settings.eval_images,
            max_shift=settings.max_shift,
            latents=latents,
            data=read,
        )

    return TrainingSpec(
        build_task=build_task,
        data=read,
        config=train,
        settings=settings,
        seed=settings.seed,
        fixed={
            **{key: getattr(settings, key) for key in FIXED},
            **{f"noise.{key}": getattr(noise, key) for key in FIXED_NOISE},
            "init": clip.config.source_weights,
            "schedule": clip.schedule_config,
            "noise": {"density": noise.density, "power": noise.power},
            **({} if vae is None else fixed_of(vae, settings.latents)),
        },
        prepare=nothing if vae is None else lambda folder: vae.save(folder / VAE_FOLDER),
        next_steps=_next_steps(settings),
    )


def _next_steps(settings: FinetuneClipSettings) -> dict[str, list[str]]:
    run, model = settings.run_dir, settings.noise.schedule_from
    guided = ["--clip-guide", run, "--clip-guidance-scale", "1"]
    return {
        "pictures that it guides": ["sample", "--model", model, "--prompt", "a caption", *guided],
        "what it recognises by timestep": ["noised-clip", "--noised", run],
    }
