"""CLIP score (arXiv 2104.08718): mean of weight x max(cos(image, caption), 0).

Of a model on the captions of a data split, beside the real pictures; of a folder of captioned
images as it is; or of a file of features.
"""

from __future__ import annotations

from textdiff.evaluation.clip_score.settings import ClipScoreSettings


def run(settings: ClipScoreSettings) -> None:
    """Load, draw if there is a model, score, show.

    Raises:
        UsageError: features of another CLIP. DataError: pictures without captions.
    """
    from textdiff.clip import ClipModel
    from textdiff.data import open_data
    from textdiff.data.config import fit_data
    from textdiff.data.of_run import data_of_run
    from textdiff.devices import pick_device
    from textdiff.evaluation.clip_score.measure import (
        ClipScoreProtocol,
        measure_clip_score,
        print_scores,
    )
    from textdiff.evaluation.evaluators import involved_in
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.features.cached import CachedFeatures
    from textdiff.evaluation.features.clip import ClipExtractor
    from textdiff.evaluation.pictures import draw_pictures, open_pictures, real_pictures
    from textdiff.evaluation.protocol import (
        SourceProtocol,
        clip_protocol,
        data_protocol,
        model_protocol,
        sampling_protocol,
    )
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file
    from textdiff.metrics.preparation import as_clip_sees
    from textdiff.pipeline import TextToImage
    from textdiff.threads import settle_threads

    check_file("--json", settings.json)
    device = pick_device(settings.device)
    cache, model = open_cache(settings.feature_cache, settings.data), None
    source: SourceProtocol
    involved: dict[str, str] = {}

    def by(clip: ClipModel) -> CachedFeatures:
        name = settings.judge or f"{settings.model}/clip"
        return CachedFeatures(ClipExtractor(name, clip.freeze().to(device)), cache)

    if settings.model is not None:
        pipe = TextToImage.load(settings.model, device)
        config = data_of_run(settings.data, "--model", settings.model)
        config = fit_data(config, pipe.config.unet.image_size, f"--model {settings.model}")
        data = open_data(config, settings.split)
        clip = ClipModel.load(settings.judge) if settings.judge else pipe.clip
        features, involved = by(clip), involved_in(pipe, settings.model, settings)
        real = real_pictures(data, settings.num_prompts, settings.prompt_seed, pipe)
        settle_threads(device)
        drawn = draw_pictures(pipe, real.prompts, settings)
        pictures = {"drawn": features.of_prompted(drawn), "real": features.of_prompted(real)}
        title, source = data.title, data_protocol(data)
        model = model_protocol(settings.model, pipe, settings)
    else:
        assert settings.judge is not None  # the settings' own check
        clip = ClipModel.load(settings.judge)
        features = by(clip)
        settle_threads(device)
        if settings.images:
            data = open_pictures(settings.images, as_clip_sees(settings.data, clip))
            given, title, source = features.of_split(data), data.title, data_protocol(data)
        else:
            given = features.of_file("--features-file", str(settings.features_file))
            title, source = given.title, given.source
        pictures = {"given": given}
    result = measure_clip_score(features, pictures, settings.weight, involved)
    print_scores(result, title)
    protocol = ClipScoreProtocol(
        model=model,
        clip=clip_protocol(features.protocol.name, clip),
        data=source,
        prompt_seed=settings.prompt_seed,
        sampling=sampling_protocol(settings) if model else None,
    )
    write_result(settings.json, protocol, result)
