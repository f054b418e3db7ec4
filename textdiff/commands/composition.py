"""Composition: whether drawn pictures show the things, colours and relations of their prompts.

The facts of a picture are read by analysis through synthesis, no network takes part, and compared
with those of its prompt; for combinations that training has (val) and for those that it never has
(test). With `--judge`, prompt following by CLIPs that took no part stands beside it.
"""

from __future__ import annotations

from textdiff.evaluation.composition.settings import CompositionSettings

SEEDS = 8  # of the prompt that the overview draws several times


def run(settings: CompositionSettings) -> None:
    """Load, draw or open, read, show.

    Raises:
        DataError: data without facts, or pictures of no prompt that the data have.
        UsageError: a judge had a part: in training the model, in guiding or in choosing.
    """
    from textdiff.data import CaptionedImages, open_data
    from textdiff.data.config import fit_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.composition.asked import drawn_and_real, given_and_real, open_given
    from textdiff.evaluation.composition.measure import measure_composition, read_back
    from textdiff.evaluation.composition.reading import reader_for, reader_protocol
    from textdiff.evaluation.composition.result import CompositionProtocol
    from textdiff.evaluation.composition.sheet import save_overview, save_sheet
    from textdiff.evaluation.composition.table import print_composition
    from textdiff.evaluation.evaluators import involved_in, load_evaluators
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.features.cached import CachedFeatures
    from textdiff.evaluation.features.clip import ClipExtractor
    from textdiff.evaluation.pictures import draw_pictures
    from textdiff.evaluation.protocol import (
        clip_protocol,
        data_protocol,
        model_protocol,
        sampling_protocol,
    )
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file
    from textdiff.pipeline import TextToImage

    check_file("--json", settings.json)
    check_file("--grid", settings.grid)
    check_file("--overview", settings.overview)
    device = pick_device(settings.device)
    if settings.model is not None:
        pipe = TextToImage.load(settings.model, device)
        involved = involved_in(pipe, settings.model, settings)
        config = data_of_run(settings.data, "--model", settings.model)
        config = fit_data(config, pipe.config.unet.image_size, f"--model {settings.model}")
    else:
        assert settings.images is not None  # the settings' own check
        given, config = open_given(settings.images, settings.data)
        involved = {}
    reader = reader_for(open_data(config, "train"))
    judges = load_evaluators("--judge", settings.judges, device, involved)
    splits: dict[str, CaptionedImages] = {s: open_data(config, s) for s in settings.split}
    if settings.model is not None:
        pictures = {
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
    else:
        pictures = given_and_real(given, splits)
    drawn = {split: read_back(reader, pair.drawn) for split, pair in pictures.items()}
    real = {split: read_back(reader, pair.real) for split, pair in pictures.items()}
    cache = open_cache(settings.feature_cache, settings.data)
    features = {
        name: CachedFeatures(ClipExtractor(name, clip), cache) for name, clip in judges.items()
    }
    result = measure_composition(drawn, real, features)
    print_composition(result, config.source)
    if settings.grid:
        save_sheet(settings.grid, drawn, settings.grid_pictures)
    if settings.overview:
        prompt = next(reversed(drawn.values())).asked.prompts[0]
        save_overview(settings.overview, drawn, draw_pictures(pipe, [prompt] * SEEDS, settings))
    protocol = CompositionProtocol(
        prompt_seed=settings.prompt_seed,
        num_images=settings.num_images if settings.model else None,
        model=model_protocol(settings.model, pipe, settings) if settings.model else None,
        judges=[clip_protocol(name, clip) for name, clip in judges.items()],
        data={split: data_protocol(splits[split]) for split in pictures},
        reader=reader_protocol(reader),
        sampling=sampling_protocol(settings) if settings.model else None,
    )
    write_result(settings.json, protocol, result)
