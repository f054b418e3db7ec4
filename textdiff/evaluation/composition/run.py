"""From settings to what was read in drawn and real pictures, and the protocol of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textdiff.data import CaptionedImages, open_data
from textdiff.data.config import fit_data
from textdiff.data.of_run import data_of_run
from textdiff.evaluation.composition.asked import (
    PromptedPair,
    drawn_and_real,
    given_and_real,
    open_given,
)
from textdiff.evaluation.composition.measure import Read, measure_composition, read_back
from textdiff.evaluation.composition.reading import reader_for, reader_protocol
from textdiff.evaluation.composition.result import CompositionProtocol, CompositionResult
from textdiff.evaluation.composition.settings import CompositionSettings
from textdiff.evaluation.evaluators import involved_in, load_evaluators
from textdiff.evaluation.features.cache import open_cache
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.clip import ClipExtractor
from textdiff.evaluation.pictures import PromptedPictures, draw_pictures
from textdiff.evaluation.protocol import (
    clip_protocol,
    data_protocol,
    model_protocol,
    sampling_protocol,
)
from textdiff.pipeline import TextToImage

SEEDS = 8  # of the prompt that the overview draws several times


@dataclass(frozen=True)
class Composed:
    """drawn, real: by split. judges: CLIPs that took no part, by name. title: of the data. pipe:
    None where the pictures were given."""

    drawn: dict[str, Read]
    real: dict[str, Read]
    judges: dict[str, CachedFeatures]
    title: str
    protocol: CompositionProtocol
    pipe: TextToImage | None

    def measure(self) -> CompositionResult:
        return measure_composition(self.drawn, self.real, self.judges)

    def from_several_seeds(self, settings: CompositionSettings) -> PromptedPictures:
        """`SEEDS` pictures of the first prompt of the last split."""
        assert self.pipe is not None  # the settings' own check
        prompt = next(reversed(self.drawn.values())).asked.prompts[0]
        return draw_pictures(self.pipe, [prompt] * SEEDS, settings)


def compose(settings: CompositionSettings, device: str) -> Composed:
    """Pictures, drawn now or given, and real ones of their prompts, with what was read in each.

    Raises:
        DataError: data without facts, or pictures of no prompt that the data have.
        UsageError: a judge had a part: in training the model, in guiding or in choosing.
    """
    pipe, given, involved = None, None, {}
    if settings.model is not None:
        pipe = TextToImage.load(settings.model, device)
        involved = involved_in(pipe, settings.model, settings)
        config = data_of_run(settings.data, "--model", settings.model)
        config = fit_data(config, pipe.config.image_size, f"--model {settings.model}")
    else:
        assert settings.images is not None  # the settings' own check
        given, config = open_given(settings.images, settings.data)
    reader = reader_for(open_data(config, "train"))
    judges = load_evaluators("--judge", settings.judges, device, involved)
    splits: dict[str, CaptionedImages] = {s: open_data(config, s) for s in settings.split}
    pairs = prompted_pairs(settings, splits, pipe, given)
    cache = open_cache(settings.feature_cache, settings.data)
    protocol = CompositionProtocol(
        prompt_seed=settings.prompt_seed,
        num_images=settings.num_images if pipe else None,
        model=model_protocol(str(settings.model), pipe, settings) if pipe else None,
        judges=[clip_protocol(name, clip) for name, clip in judges.items()],
        data={split: data_protocol(splits[split]) for split in pairs},
        reader=reader_protocol(reader),
        sampling=sampling_protocol(settings) if pipe else None,
    )
    return Composed(
        drawn={split: read_back(reader, pair.drawn) for split, pair in pairs.items()},
        real={split: read_back(reader, pair.real) for split, pair in pairs.items()},
        judges={
            name: CachedFeatures(ClipExtractor(name, clip), cache) for name, clip in judges.items()
        },
        title=config.source,
        protocol=protocol,
        pipe=pipe,
    )


def prompted_pairs(
    settings: CompositionSettings,
    splits: Mapping[str, CaptionedImages],
    pipe: TextToImage | None,
    given: PromptedPictures | None,
) -> dict[str, PromptedPair]:
    """By split; either of `pipe` and `given` is None. Raises as `compose`."""
    if pipe is None:
        assert given is not None
        return given_and_real(given, splits)
    return {
        split: drawn_and_real(
            data,
            pipe,
            settings,
            num_prompts=settings.num_prompts,
            num_images=settings.num_images,
            prompt_seed=settings.prompt_seed,
        )
        for split, data in splits.items()
    }
