"""Zero-shot classification: pictures among classes that are given by name, by a CLIP that was
trained for none of them.

With a truth: top-1, top-5, accuracy by class, what is taken for what. Without: the best classes of
each picture.
"""

from __future__ import annotations

from textdiff.errors import require_extra
from textdiff.evaluation.zero_shot.settings import ClassifySettings


def run(settings: ClassifySettings) -> None:
    """Load, classify, show.

    Raises:
        UsageError: classes or templates that cannot be used, or matplotlib is missing.
        DataError: pictures or their truth that cannot be used.
    """
    from textdiff.devices import pick_device
    from textdiff.evaluation.results import write_result
    from textdiff.evaluation.zero_shot.predictions import write_predictions
    from textdiff.evaluation.zero_shot.result import ZeroShotResult
    from textdiff.evaluation.zero_shot.run import classify_pictures
    from textdiff.evaluation.zero_shot.table import print_accuracies, print_best
    from textdiff.files import check_file

    for flag in ("json", "predictions", "confusion"):
        check_file(f"--{flag}", getattr(settings, flag))
    if settings.confusion:
        require_extra("plot", "the picture of what is confused")
    found = classify_pictures(settings, pick_device(settings.device))
    result = found.measure()
    if isinstance(result, ZeroShotResult):
        print_accuracies(result, f"Zero-shot among {found.title}")
        if settings.confusion:
            found.save_confusion(settings.confusion, result)
    else:
        print_best(result, found.predictions(settings.top), f"Best of {found.title}")
    write_predictions(settings.predictions, found.predictions(settings.top))
    write_result(settings.json, found.protocol, result)
