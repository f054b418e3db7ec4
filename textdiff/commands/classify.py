"""Zero-shot classification: pictures among classes that are given by name, by a CLIP that was
trained for none of them.

With a truth: top-1, top-5, accuracy by class, what is taken for what. Without: the best classes of
each picture.
"""

from __future__ import annotations

from textdiff.errors import UsageError, require_extra
from textdiff.evaluation.zero_shot.settings import ClassifySettings

KEPT = 5  # best classes of a picture at least: what is taken for what needs two


def run(settings: ClassifySettings) -> None:
    """Load, classify, show.

    Raises:
        UsageError: classes or templates that cannot be used, or matplotlib is missing.
        DataError: pictures or their truth that cannot be used.
    """
    from textdiff.clip import ClipModel
    from textdiff.data.of_run import data_of_run, trained_on
    from textdiff.devices import pick_device
    from textdiff.evaluation.features.cache import open_cache
    from textdiff.evaluation.features.cached import CachedFeatures
    from textdiff.evaluation.features.clip import ClipExtractor
    from textdiff.evaluation.protocol import clip_protocol, data_protocol
    from textdiff.evaluation.results import write_result
    from textdiff.evaluation.zero_shot.classify import build_classifier, classify
    from textdiff.evaluation.zero_shot.measure import confusion, count_first, measure_accuracies
    from textdiff.evaluation.zero_shot.pictures import features_of, open_pictures
    from textdiff.evaluation.zero_shot.plot import draw_confusion
    from textdiff.evaluation.zero_shot.predictions import predictions_of, write_predictions
    from textdiff.evaluation.zero_shot.prompts import choose_prompts
    from textdiff.evaluation.zero_shot.result import (
        UnjudgedResult,
        ZeroShotResult,
        zero_shot_protocol,
    )
    from textdiff.evaluation.zero_shot.table import print_accuracies, print_best
    from textdiff.evaluation.zero_shot.truth import truth_of
    from textdiff.files import check_file
    from textdiff.metrics.preparation import as_clip_sees
    from textdiff.threads import settle_threads

    for flag in ("json", "predictions", "confusion"):
        check_file(f"--{flag}", getattr(settings, flag))
    if settings.confusion:
        require_extra("plot", "the picture of what is confused")
    device = pick_device(settings.device)
    clip = ClipModel.load(settings.clip).freeze().to(device)
    cache = open_cache(settings.feature_cache, settings.data)
    config = data_of_run(settings.data, "--clip", settings.clip)
    own = trained_on(settings.clip, config)
    data = open_pictures(as_clip_sees(config, clip), settings.split, own)
    truth = truth_of(data, settings.truth, settings.classes)
    if settings.confusion and truth.labels is None:
        raise UsageError("--confusion needs to know what is right; see --truth")
    prompts = choose_prompts(settings.templates, truth, data)
    settle_threads(device)
    classes = truth.classes
    classifier = build_classifier(clip, classes, prompts, settings.clip)
    kept = max(settings.top, KEPT)
    by = CachedFeatures(ClipExtractor(settings.clip, clip), cache)
    classified = classify(features_of(by, data), classifier, truth, kept)
    title = f"{len(classes)} classes, truth by {truth.kind}: {data.title}"
    result: ZeroShotResult | UnjudgedResult
    if judged := classified.judged:
        counts = confusion(classified, judged, len(classes))
        result = measure_accuracies(
            judged,
            counts,
            classes,
            pictures=[data.identifiers[index] for index in classified.pictures],
            prompts_cut=classifier.prompts_cut,
        )
        print_accuracies(result, f"Zero-shot among {title}")
        if settings.confusion:
            top_1 = f"top-1 {result.accuracies.top_1.accuracy.value:.1%}"
            draw_confusion(settings.confusion, result, counts, classes.names, f"{top_1}, {title}")
            print(f"confusion: {settings.confusion}")
    else:
        result = count_first(classified, classes, classifier.prompts_cut)
        shown = predictions_of(classified, data, classes, settings.top)
        print_best(result, shown, f"Best of {title}")
    predictions = predictions_of(classified, data, classes, settings.top)
    write_predictions(settings.predictions, predictions)
    protocol = zero_shot_protocol(
        truth, prompts, data_protocol(data), clip_protocol(settings.clip, clip)
    )
    write_result(settings.json, protocol, result)
