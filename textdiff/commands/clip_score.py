"""CLIP score and CLIP-S (arXiv 2104.08718): means of 100 and 2.5 max(cos(image, caption), 0).

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
    from textdiff.devices import pick_device
    from textdiff.evaluation.clip_score.measure import print_scores
    from textdiff.evaluation.clip_score.run import judge_drawn, judge_given
    from textdiff.evaluation.results import write_result
    from textdiff.files import check_file

    check_file("--json", settings.json)
    device = pick_device(settings.device)
    if settings.model is not None:
        judged = judge_drawn(settings, settings.model, device)
    else:
        assert settings.judge is not None  # the settings' own check
        judged = judge_given(settings, settings.judge, device)
    result = judged.measure(settings.weight)
    print_scores(result, judged.title)
    write_result(settings.json, judged.protocol, result)
