"""Write a model as a folder that other libraries load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from textdiff.config import Settings
from textdiff.errors import UsageError

if TYPE_CHECKING:
    from textdiff.pipeline import TextToImage

OF_PICTURES = {"pipeline", "sampler", "variance", "threshold"}


class ExportSettings(Settings):
    """What is exported, and as what."""

    model: str = Field(description="run folder or exported model, or that of a diffusion prior")
    format: Literal["diffusers"] = Field("diffusers", description="whose layout the folder has")
    out: str = Field(description="folder to write, new or empty")
    overwrite: bool = Field(False, description="write into a folder that has files in it too")
    pipeline: Literal["bundled", "stock"] = Field(
        "bundled",
        description="bundled: the folder brings its pipeline, which diffusers runs with "
        "trust_remote_code; stock: for diffusers' IFPipeline, or StableDiffusionPipeline where the "
        "model draws latents, which some models fit",
    )
    sampler: Literal["ddim", "ddpm", "dpmpp", "dpmpp_sde"] | None = Field(
        None, description="what the scheduler does; none: ddim, for stock ddpm"
    )
    variance: Literal["auto", "fixed_small", "fixed_large", "learned"] = Field(
        "auto", description="ddpm: which variance; auto: fixed_small, bundled: learned if there"
    )
    threshold: Literal["none", "static"] = Field(
        "static", description="how x_0_hat is kept in [-1, 1] at every step"
    )


def run(settings: ExportSettings) -> None:
    """Load the model, write the folder.

    Raises:
        UsageError: a model or choice that the format cannot hold, or files in `out` that only
            `overwrite` may replace. CheckpointError: no such model.
    """
    from transformers.utils import logging

    from textdiff.files import check_folder
    from textdiff.interop.pipeline import pipeline_to_diffusers
    from textdiff.interop.prior import prior_to_diffusers
    from textdiff.pipeline import TextToImage
    from textdiff.pipeline.prior.prior import PRIOR_FILE, Prior

    check_folder("--out", settings.out)
    if not settings.overwrite and any(Path(settings.out).glob("*")):
        raise UsageError(
            f"--out {settings.out} has files in it; name a new folder, or add --overwrite to "
            "replace those of an earlier export"
        )
    logging.disable_progress_bar()
    if (Path(settings.model).expanduser() / PRIOR_FILE).is_file():
        of_pictures = settings.model_fields_set & OF_PICTURES
        if of_pictures:
            raise UsageError(
                f"--{min(of_pictures)} is for models of pictures, {settings.model} is a prior; "
                "leave it out"
            )
        prior_to_diffusers(Prior.load(settings.model, "cpu"), settings.out)
        print(f"{settings.out}/README.md has the lines that draw embeddings")
        return
    pipe = TextToImage.load(settings.model, "cpu")
    if pipe.vae is not None and settings.pipeline == "stock":
        export_latents(pipe, settings)
        print(f'DiffusionPipeline.from_pretrained("{settings.out}"); more in its README.md')
        return
    pipeline_to_diffusers(
        pipe,
        settings.out,
        settings.pipeline,
        settings.sampler,
        settings.variance,
        clip=settings.threshold == "static",
    )
    how = ", trust_remote_code=True" if settings.pipeline == "bundled" else ""
    print(f'DiffusionPipeline.from_pretrained("{settings.out}"{how}); more in its README.md')


def export_latents(pipe: TextToImage, settings: ExportSettings) -> None:
    """For StableDiffusionPipeline. Raises as `stable_diffusion_to_diffusers`."""
    from textdiff.interop.stable_diffusion import stable_diffusion_to_diffusers

    if "threshold" in settings.model_fields_set and settings.threshold != "none":
        raise UsageError(
            f"--threshold {settings.threshold}: latents have no bounds to be kept in; leave it out"
        )
    if settings.variance == "learned":
        raise UsageError("--variance learned: no latent model has one; leave it out")
    variance = "fixed_small" if settings.variance == "auto" else settings.variance
    stable_diffusion_to_diffusers(pipe, settings.out, settings.sampler or "ddim", variance)
