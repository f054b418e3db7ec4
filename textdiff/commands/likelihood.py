"""Likelihood: the variational bound on -log p(picture | caption) in bits/dim, term by term.

    total = prior L_T + sum_{t >= 1} L_t + discretised L_0            see `diffusion.likelihood`

A uniform guess costs 8 bits/dim; 1 of a binary model's pixels (`diffusion.binary_likelihood`).
Noise is a function of (seed, image, timestep), so that two models, variances or captions are
compared on the same noised pictures. No guidance: it has no bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.diffusion.config import VarianceType
from textdiff.errors import EmptySplitError, UsageError, require_extra
from textdiff.sampling.config import Spacing

if TYPE_CHECKING:
    from torch import Tensor

    from textdiff.commands.likelihood_process import Measured
    from textdiff.data import CaptionedImages
    from textdiff.metrics import Bound
    from textdiff.pipeline import TextToImage

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


@dataclass(frozen=True)
class Pictures:
    """What is measured: identifiers and first captions (n), images (n, 3, S, S) uint8."""

    names: list[str]
    captions: list[str]
    images: Tensor


def run(settings: LikelihoodSettings) -> None:
    """Load, measure, show.

    Raises:
        UsageError: settings that the model or the machine cannot follow.
        DataError: no image to measure.
    """
    from textdiff.commands import report
    from textdiff.commands.likelihood_plot import draw_bounds
    from textdiff.commands.likelihood_process import measured
    from textdiff.commands.sample import pick_device
    from textdiff.files import check_file
    from textdiff.pipeline import TextToImage

    check_file("--json", settings.json)
    check_file("--plot", settings.plot)
    if settings.plot:
        require_extra("plot", "--plot")
    data = open_split(settings)
    pipe = TextToImage.load(settings.model, pick_device(settings.device))
    report.check_image_size(data, pipe)
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
            "model": report.describe_model(settings.model, pipe),
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
            "clip_denoised": settings.clip_denoised,
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


def pick_pictures(data: CaptionedImages, settings: LikelihoodSettings) -> Pictures:
    """Images of the split, unusable ones left out. Raises DataError if these are too many."""
    import torch

    from textdiff.data import EndlessOrder

    positions = torch.arange(min(settings.num_images or len(data), len(data)))
    _, chosen = EndlessOrder(len(data), settings.image_seed).at(positions)
    used, images = data.usable(chosen.tolist())
    names = [data.identifiers[index] for index in used]
    return Pictures(names, [data.captions[index][0] for index in used], images)


def captions_of(kind: Captions, own: list[str], seed: int) -> list[str]:
    """What the model is told of each image. Raises UsageError: a single image has no other."""
    import torch

    from textdiff.randomness import generator

    if kind == "first":
        return own
    if kind == "none":
        return [""] * len(own)
    if len(own) < 2:
        raise UsageError("--captions shuffled needs two images or more")
    cycle = torch.randperm(len(own), generator=generator(seed, "shuffled captions")).tolist()
    donor = dict(zip(cycle, [*cycle[1:], cycle[0]], strict=True))  # never the image itself
    return [own[donor[k]] for k in range(len(own))]


def measure(
    pipe: TextToImage,
    process: Measured,
    edges: Tensor,
    pictures: Pictures,
    settings: LikelihoodSettings,
) -> dict[Captions, Bound]:
    """The bound for each kind of captions, with a progress bar."""
    import torch
    from tqdm import tqdm

    from textdiff.diffusion.likelihood import stratified_timesteps
    from textdiff.metrics.likelihood import Bound, noise_of, uniforms_of

    seed, size, names = settings.seed, settings.batch_size, pictures.names
    dtype, device = getattr(torch, settings.dtype), next(pipe.unet.parameters()).device
    pipe.unet.to(dtype)
    captions = {kind: captions_of(kind, pictures.captions, seed) for kind in settings.captions}
    indices = stratified_timesteps(edges, uniforms_of(seed, names, len(edges) - 1))
    bounds = {}
    with tqdm(total=len(captions) * indices.numel(), unit="prediction") as bar:
        for kind, texts in captions.items():
            prior, terms = [], []
            for part in (slice(k, k + size) for k in range(0, len(names), size)):
                x_0 = process.x_0(pictures.images[part]).to(device, dtype)
                conditioning = pipe.clip.conditioning(texts[part])
                eps, steps = noise_of(seed, names[part], x_0), indices[part].T.to(device)
                found = []
                for _, bits in process.terms(conditioning, x_0, eps, steps):
                    found.append(bits.cpu().double())
                    bar.update(len(bits))
                prior.append(process.prior(x_0).cpu().double())
                terms.append(torch.stack(found, dim=1))
            bounds[kind] = Bound(torch.cat(prior), indices, torch.cat(terms), edges)
    return bounds


def summary(bound: Bound, told: Tensor) -> dict[str, Any]:
    """Parts of the bound with their intervals. told: (T,) the network's timesteps, which "from"
    and "to" name."""
    from textdiff.commands.report import interval

    T = len(told)
    quarters = [(max(1, T * q // 4), T * (q + 1) // 4) for q in range(4)]
    mean, low, high = bound.intervals().tolist()
    return {
        "total": interval(bound.total),
        "prior": interval(bound.prior),
        "L_0": interval(bound.between(0, 1)),
        "rest": interval(bound.between(1, T)),
        "quarters": [
            {
                "from": int(told[first]),
                "to": int(told[end - 1]),
                **interval(bound.between(first, end)),
            }
            for first, end in quarters
            if first < end
        ],
        "terms": {
            "from": told[bound.edges[:-1]].tolist(),
            "to": told[bound.edges[1:] - 1].tolist(),
            "timesteps": bound.edges.diff().tolist(),
            "mean": mean,
            "low": low,
            "high": high,
        },
    }


def compare(bounds: dict[Captions, Bound]) -> dict[str, dict[str, float]]:
    """How many bits/dim more the other kinds of captions cost than the first kind."""
    from textdiff.commands.report import interval

    (first, baseline), *others = bounds.items()
    return {f"{kind} - {first}": interval(bound.total - baseline.total) for kind, bound in others}


def show(results: dict[str, Any], differences: dict[str, Any]) -> None:
    """A table per kind of captions, and one of their differences."""
    from textdiff.commands import report

    def row(name: str, value: dict[str, float]) -> list[str]:
        return [name, f"{value['mean']:.4f}", f"{value['low']:.4f} to {value['high']:.4f}"]

    columns = ["", "bits/dim", "95% interval"]
    for kind, found in results.items():
        rows = [row("prior L_T", found["prior"])]
        for quarter in reversed(found["quarters"]):
            rows.append(row(f"t = {quarter['from']}..{quarter['to']}", quarter))
        rows.append(row("sum over t >= 1", found["rest"]))
        rows.append(row("L_0", found["L_0"]))
        rows.append(row("total", found["total"]))
        report.show(f"Bits/dim, captions: {kind}", columns, rows)
    if differences:
        rows = [row(name, value) for name, value in differences.items()]
        report.show("Differences", columns, rows)
