"""Likelihood: the variational bound on -log p(picture | caption) in bits/dim, term by term.

    total = prior L_T + sum_{t >= 1} L_t + discretised L_0            see `diffusion.likelihood`

A uniform guess costs 8 bits/dim; 1 of a binary model's pixels (`diffusion.binary_likelihood`).
Noise is a function of (seed, image, timestep), so that two models, variances or captions are
compared on the same noised pictures. No guidance: it has no bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.diffusion.config import VarianceType
from textdiff.errors import EmptySplitError, UsageError, require_extra
from textdiff.sampling.config import Spacing

if TYPE_CHECKING:
    from torch import Tensor

    from textdiff.data import CaptionedImages

Captions = Literal["first", "none", "shuffled"]


class LikelihoodSettings(Settings):
    """Protocol: `num_images` images of the split, chosen by `image_seed`, one eps per timestep."""

    model: str = Field(description="run folder or exported model")
    data: DataConfig = DataConfig()
    split: Literal["auto", "train", "val", "test", "all"] = Field(
        "auto", description="split to measure; auto: test, or val where there is no test"
    )
    num_images: int | None = Field(128, ge=1, description="how many images; none: all")
    image_seed: int = Field(0, description="which images")
    captions: list[Captions] = Field(
        ["first"],
        min_length=1,
        description="what the model is told: an image's first caption, the empty one, or that of "
        "another image; several: also their differences, on the same noise",
    )
    variance: Literal["auto", VarianceType] = Field(
        "auto", description="beta_tilde, beta, or the model's own; auto: learned, else fixed_large"
    )
    num_steps: int | None = Field(
        None, ge=1, description="the bound of a chain of so many steps; none: of all T"
    )
    spacing: Spacing = Field(
        "trailing", description="num_steps: which timesteps these are, as in sampling"
    )
    estimate: int | None = Field(
        None,
        ge=2,
        description="estimate the bound, without bias, from so many timesteps per image (50 of "
        "1000 err by far less than images differ); none: all",
    )
    clip_denoised: bool = Field(True, description="clip x_0_hat to [-1, 1], as IDDPM does")
    seed: int = Field(0, description="of the noise, the estimate's timesteps, and the shuffle")
    batch_size: int = Field(64, ge=1, description="images at once")
    dtype: Literal["float32", "float64"] = Field("float32", description="of the computation")
    device: str = Field("auto", description="cpu, cuda, mps; auto: the fastest there is")
    plot: str | None = Field(None, description="draw the terms over the timesteps here (PNG)")
    json: str | None = Field(None, description="write numbers and protocol here")


def run(settings: LikelihoodSettings) -> None:
    """Load, measure, show.

    Raises:
        UsageError: settings that the model or the machine cannot follow.
        DataError: no image to measure.
    """
    from textdiff.devices import pick_device
    from textdiff.evaluation import report
    from textdiff.evaluation.likelihood.measure import measure, pick_pictures
    from textdiff.evaluation.likelihood.plot import draw_bounds
    from textdiff.evaluation.likelihood.process import measured
    from textdiff.evaluation.likelihood.table import compare, show, summary
    from textdiff.files import check_file
    from textdiff.pipeline import TextToImage

    check_file("--json", settings.json)
    check_file("--plot", settings.plot)
    if settings.plot:
        require_extra("plot", "--plot")
    data = open_split(settings)
    pipe = TextToImage.load(settings.model, pick_device(settings.device))
    report.check_image_size(data, pipe)
    model = report.describe_model(settings.model, pipe)  # before its type is changed
    process = measured(pipe, settings)
    chain = process.chain
    edges = pick_strata(settings, chain.num_timesteps)
    pictures = pick_pictures(data, settings)
    bounds = measure(pipe, process, edges, pictures, settings)
    results = {kind: summary(bound, chain.timesteps) for kind, bound in bounds.items()}
    differences = compare(bounds)
    show(results, differences)
    about = "; ".join(
        [
            f"{len(pictures.names)} images of {data.name}, split {data.split}",
            *([f"variance {process.variance}"] if process.variance else []),
            f"{len(edges) - 1} of {chain.num_timesteps} timesteps",
        ]
    )
    print(about)
    if settings.plot:
        draw_bounds(settings.plot, about, results)
        print(f"plot: {settings.plot}")
    report.write_json(
        settings.json,
        {
            "metric": "variational bound on -log p(picture | caption), bits/dim",
            "model": model,
            "data": report.describe_data(data),
            "pictures": len(pictures.names),
            "image_seed": settings.image_seed,
            "captions_cut": pipe.clip.tokenize(pictures.captions).num_truncated,
            "process": pipe.config.process,
            "variance": process.variance,
            "timesteps": pipe.schedule.num_timesteps,
            "num_steps": chain.num_timesteps,
            "spacing": settings.spacing if settings.num_steps else None,
            "timesteps_per_picture": len(edges) - 1,
            "clip_denoised": settings.clip_denoised if process.variance else None,
            "seed": settings.seed,
            "dtype": settings.dtype,
            "results": results,
            "differences": differences,
            "per_picture": {
                "identifiers": pictures.names,
                **{kind: bound.total.tolist() for kind, bound in bounds.items()},
            },
        },
    )


def open_split(settings: LikelihoodSettings) -> CaptionedImages:
    """The split asked for. Raises EmptySplitError."""
    from textdiff.data import open_data

    if settings.split != "auto":
        return open_data(settings.data, settings.split)
    try:
        return open_data(settings.data, "test")
    except EmptySplitError:
        return open_data(settings.data, "val")


def pick_strata(settings: LikelihoodSettings, num_steps: int) -> Tensor:
    """Edges (K + 1,) of the strata. Raises UsageError if the chain has fewer steps than K."""
    from textdiff.diffusion.likelihood import strata

    try:
        return strata(num_steps, settings.estimate or num_steps)
    except ValueError as error:
        raise UsageError(f"--estimate: {error}") from None
