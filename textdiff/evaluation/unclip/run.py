"""Every route drawn and measured, then compared in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from textdiff.clip import ClipModel
from textdiff.data import CaptionedImages, open_data
from textdiff.evaluation.composition.asked import scenes_by_caption
from textdiff.evaluation.composition.measure import chance_rates
from textdiff.evaluation.composition.reading import reader_for
from textdiff.evaluation.features.cache import FeatureCache
from textdiff.evaluation.held_out.draw import repeat_each, write_sheet
from textdiff.evaluation.held_out.measure import prepare_evaluators
from textdiff.evaluation.held_out.protocol import chance_of
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.evaluation.unclip.measure import (
    Facts,
    Measured,
    best_routes,
    difference_of,
    measure_pictures,
)
from textdiff.evaluation.unclip.result import RouteResult, UnclipResult
from textdiff.evaluation.unclip.routes import (
    OWN_EMBEDDING,
    TEXT_CONDITIONAL,
    TEXT_EMBEDDING,
    Drawn,
    draw_route,
    routes_of,
)
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.types import Pictures

BASELINES = (TEXT_EMBEDDING, TEXT_CONDITIONAL)


@dataclass(frozen=True)
class Compared:
    """pictures: drawn ones by route, those of a prompt in a row."""

    result: UnclipResult
    pictures: dict[str, Pictures]


def facts_of(data: CaptionedImages, prompts: Sequence[str]) -> Facts | None:
    """What the prompts, captions of `data`, say; None where these state no facts. Whatever is in
    training scenes is looked for in pictures."""
    if data.scenes is None:
        return None
    by_caption = scenes_by_caption(data)
    scenes = [by_caption[prompt] for prompt in prompts]
    return Facts(scenes, reader_for(open_data(data.config, "train")), chance_rates(scenes))


def compare_routes(
    decoder: TextToImage,
    real: PromptedPictures,
    config: SamplingConfig,
    *,
    model: TextToImage | None,
    priors: Sequence[str],
    judges: Mapping[str, ClipModel],
    reference: Pictures,
    facts: Facts | None,
    num_images: int,
    cache: FeatureCache | None = None,
) -> Compared:
    """Args:
        real: the prompts, and a real picture of each.
        reference: other real pictures, that drawn ones should be close to.

    Raises:
        UsageError: settings that a model cannot follow, or a prior of another CLIP.
        CheckpointError: no prior there.
    """
    prompts = repeat_each(real.prompts, num_images)
    own = real.images.repeat_interleave(num_images, dim=0)
    routes = routes_of(decoder, prompts, own, config, model=model, priors=priors)
    evaluators = prepare_evaluators(judges, real.prompts, reference, cache)
    drawn: dict[str, Drawn] = {}
    measured: dict[str, Measured] = {}
    for route in routes:
        drawn[route.name] = draw_route(route, prompts, config)
        images = drawn[route.name].images
        measured[route.name] = measure_pictures(evaluators, facts, real.prompts, images)
    results = {
        route.name: RouteResult(
            pictures=measured[route.name].result(),
            seconds_per_picture=drawn[route.name].seconds,
            embedding_seconds=drawn[route.name].embedding_seconds,
            parameters=route.parameters,
            differences={
                name: difference_of(measured[route.name], measured[name])
                for name in BASELINES
                if name in measured and name != route.name
            },
        )
        for route in routes
    }
    of_prompts = {name: each for name, each in measured.items() if name != OWN_EMBEDDING}
    result = UnclipResult(
        chance=chance_of(len(real.prompts)),
        real=measure_pictures(evaluators, facts, real.prompts, real.images).result(),
        routes=results,
        best=best_routes(of_prompts) if len(of_prompts) > 1 else {},
        per_item={name: each.per_item() for name, each in measured.items()},
    )
    return Compared(result, {name: each.images for name, each in drawn.items()})


def save_sheet(
    path: str | Path, compared: Compared, real: PromptedPictures, num_images: int, count: int
) -> None:
    """The first picture of each of `count` prompts, a row for each route, real ones above."""
    rows = {"real pictures": real.images[:count]}
    rows |= {name: each[::num_images][:count] for name, each in compared.pictures.items()}
    write_sheet(path, real.prompts[:count], rows)
