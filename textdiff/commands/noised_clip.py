"""What a noised CLIP knows: zero-shot accuracy and retrieval of x_t at each timestep, beside a
clean CLIP that sees the same x_t without being told t."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.errors import CheckpointError, UsageError, require_extra

if TYPE_CHECKING:
    from textdiff.clip import NoisedClip
    from textdiff.data import CaptionedImages


class NoisedClipSettings(Settings):
    """Protocol: every image of the split (or the first `limit`) with all of its captions, under the
    same noise at every timestep and for both CLIPs. Zero-shot classes are the distinct first
    captions of these images."""

    noised: str = Field(description="run folder of a noised CLIP")
    clean: str | None = Field(
        None, description="CLIP to compare with; none: the one that it was fine-tuned from"
    )
    data: DataConfig = DataConfig()
    split: Literal["train", "val", "test", "all"] = Field(
        "test", description="split that is searched"
    )
    limit: int | None = Field(None, ge=1, description="search among the first so many images")
    levels: int = Field(11, ge=2, description="timesteps, evenly spaced from 0 to T-1")
    timesteps: tuple[int, ...] | None = Field(
        None, min_length=1, description="the timesteps themselves; levels does not count"
    )
    draws: int = Field(4, ge=1, description="noises per image, averaged over")
    template: str = Field("{}", description="zero-shot: the class's caption stands for {}")
    seed: int = Field(0, description="of the noise")
    device: str = Field("auto", description="cpu, cuda, mps; auto: the fastest there is")
    json: str | None = Field(None, description="write numbers and protocol here")
    plot: str | None = Field(None, description="draw the curves here, as PNG")


def run(settings: NoisedClipSettings) -> None:
    """Load, noise, search, show.

    Raises:
        UsageError: pictures of another size, timesteps outside, or matplotlib is missing.
    """
    from textdiff.clip import ClipModel, NoisedClip
    from textdiff.data import open_data
    from textdiff.data.config import fit_data
    from textdiff.devices import pick_device
    from textdiff.evaluation import report
    from textdiff.evaluation.noised_clip.measure import Protocol, measure
    from textdiff.evaluation.noised_clip.plot import draw_levels
    from textdiff.files import check_file

    check_file("--json", settings.json)
    check_file("--plot", settings.plot)
    if settings.plot:
        require_extra("plot", "the plot")
    noised = NoisedClip.load(settings.noised).freeze()
    config = fit_data(settings.data, noised.image_size, f"--noised {settings.noised}")
    data = open_data(config, settings.split)
    timesteps = pick_timesteps(settings, noised)
    name = settings.clean or noised.config.source
    if name is None:
        raise UsageError(
            f"{settings.noised} does not say what it was fine-tuned from; give --clean"
        )
    clean = ClipModel.load(name).freeze()
    if settings.clean is None:
        check_source(noised, clean.weights_hash())
    device = pick_device(settings.device)
    protocol = Protocol(timesteps, settings.draws, settings.template, settings.seed, settings.limit)
    found = measure(protocol, data, noised.to(device), clean.to(device))
    show(found, data)
    report.write_json(
        settings.json,
        {
            "metric": "zero-shot accuracy, classes are first captions; R@k, ties count against",
            "noise": {
                "schedule": noised.schedule_config,
                "draws_per_image": settings.draws,
                "seed": settings.seed,
            },
            "template": settings.template,
            "data": report.describe_data(data),
            "noised": report.describe_clip(settings.noised, noised),
            "clean": report.describe_clip(name, clean),
            **found,
        },
    )
    if settings.plot:
        draw_levels(settings.plot, found)
        print(f"plot: {settings.plot}")


def pick_timesteps(settings: NoisedClipSettings, noised: NoisedClip) -> list[int]:
    """Ascending. Raises UsageError where one is none of the noised CLIP's."""
    from textdiff.metrics.noised import even_timesteps

    T = noised.num_timesteps
    if settings.timesteps is None:
        return even_timesteps(settings.levels, T)
    outside = [t for t in settings.timesteps if not 0 <= t < T]
    if outside:
        raise UsageError(f"--timesteps {outside[0]}: {settings.noised} knows 0..{T - 1}")
    return sorted(set(settings.timesteps))


def check_source(noised: NoisedClip, weights: str) -> None:
    """Raises CheckpointError if the CLIP it was fine-tuned from has changed since."""
    config = noised.config
    if config.source_weights != weights:
        raise CheckpointError(
            f"{config.source} holds weights {weights} now, the noised CLIP was fine-tuned from "
            f"{config.source_weights}; name that one with --clean"
        )


def show(found: dict[str, Any], data: CaptionedImages) -> None:
    """A row per timestep, a column per metric: clean, noised."""
    from textdiff.evaluation import report

    def cell(clean: dict[str, float], noised: dict[str, float]) -> str:
        return f"{100 * clean['mean']:.1f} {100 * noised['mean']:4.1f}"

    curves = found["results"].values()
    rows = [
        [str(t), f"{ac**0.5:.3f}", *(cell(c["clean"][i], c["noised"][i]) for c in curves)]
        for i, (t, ac) in enumerate(zip(found["timesteps"], found["alphas_cumprod"], strict=True))
    ]
    means = {name: each["mean_over_timesteps"] for name, each in found["results"].items()}
    rows.append(["mean", "", *(cell(mean["clean"], mean["noised"]) for mean in means.values())])
    rows.append(["chance", "", *(f"{100 * found['chance'][name]:.1f}" for name in means)])
    short = [n.replace("image to text", "i2t").replace("text to image", "t2i") for n in means]
    report.show(
        f"{found['searched']} noised images of {data.name}, split {data.split}; "
        "in %: clean CLIP, noised CLIP",
        ["t", "signal", *short],
        rows,
    )
    for metric, mean in means.items():
        all_levels, curves = mean["difference"], found["results"][metric]
        first = curves["difference"][0]
        print(
            f"{metric}, noised - clean: {all_levels['mean']:+.1%} ({all_levels['low']:+.1%} to "
            f"{all_levels['high']:+.1%}) over all timesteps, {first['mean']:+.1%} at "
            f"t = {found['timesteps'][0]}; ahead at t in {curves['ahead_at']}, "
            f"behind at {curves['behind_at']}"
        )
