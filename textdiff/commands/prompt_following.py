"""Prompt following: how often a judge CLIP picks the right prompt for a drawn picture.

One picture per prompt is drawn; the judge ranks all N prompts for it. The same rate for the real
pictures of these prompts stands beside it. The judge must have had no part, in training the
model, in guiding or in choosing.
"""

from __future__ import annotations

from textdiff.evaluation.prompt_following.settings import PromptFollowingSettings


def run(settings: PromptFollowingSettings) -> None:
    """Load, draw, judge, show.

    Raises:
        UsageError: the judge had a part: in training the model, in guiding or in choosing.
    """
    from textdiff.data import open_data
    from textdiff.data.config import fit_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.evaluators import involved_in, load_evaluator
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.features.cached import CachedFeatures
    from textdiff.evaluation.features.clip import ClipExtractor
    from textdiff.evaluation.pictures import draw_pictures, real_pictures, save_sheet
    from textdiff.evaluation.prompt_following.measure import (
        PromptFollowingProtocol,
        measure_prompt_following,
        print_rates,
    )
    from textdiff.evaluation.protocol import (
        clip_protocol,
        data_protocol,
        model_protocol,
        sampling_protocol,
    )
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file
    from textdiff.pipeline import TextToImage
    from textdiff.threads import settle_threads

    check_file("--json", settings.json)
    check_file("--grid", settings.grid)
    device = pick_device(settings.device)
    pipe = TextToImage.load(settings.model, device)
    involved = involved_in(pipe, settings.model, settings)
    judge = load_evaluator("--judge", settings.judge, device, involved)
    config = data_of_run(settings.data, "--model", settings.model)
    config = fit_data(config, pipe.config.image_size, f"--model {settings.model}")
    data = open_data(config, settings.split)
    real = real_pictures(data, settings.num_prompts, settings.prompt_seed, pipe)
    settle_threads(device)
    drawn = draw_pictures(pipe, real.prompts, settings)
    cache = open_cache(settings.feature_cache, settings.data)
    features = CachedFeatures(ClipExtractor(settings.judge, judge), cache)
    pictures = {"drawn": features.of_prompted(drawn), "real": features.of_prompted(real)}
    result = measure_prompt_following(features, pictures)
    print_rates(result, data.title)
    if settings.grid:
        save_sheet(settings.grid, drawn, settings.grid_pictures)
    protocol = PromptFollowingProtocol(
        prompt_seed=settings.prompt_seed,
        model=model_protocol(settings.model, pipe, settings),
        judge=clip_protocol(settings.judge, judge),
        data=data_protocol(data),
        sampling=sampling_protocol(settings),
    )
    write_result(settings.json, protocol, result)
