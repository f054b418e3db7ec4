"""From settings to classified pictures, what they show, and their protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from textdiff.clip import ClipModel
from textdiff.data import CaptionedImages
from textdiff.data.of_run import data_of_run, trained_on
from textdiff.errors import UsageError
from textdiff.evaluation.features.cache import open_cache
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.clip import ClipExtractor
from textdiff.evaluation.protocol import clip_protocol, data_protocol
from textdiff.evaluation.zero_shot.classes import Classes
from textdiff.evaluation.zero_shot.classify import (
    Classified,
    Classifier,
    build_classifier,
    classify,
)
from textdiff.evaluation.zero_shot.measure import (
    Counts,
    confusion,
    count_first,
    measure_accuracies,
)
from textdiff.evaluation.zero_shot.pictures import features_of, open_pictures
from textdiff.evaluation.zero_shot.plot import draw_confusion
from textdiff.evaluation.zero_shot.predictions import Prediction, predictions_of
from textdiff.evaluation.zero_shot.prompts import choose_prompts
from textdiff.evaluation.zero_shot.result import (
    UnjudgedResult,
    ZeroShotProtocol,
    ZeroShotResult,
    zero_shot_protocol,
)
from textdiff.evaluation.zero_shot.settings import ClassifySettings
from textdiff.evaluation.zero_shot.truth import truth_of
from textdiff.metrics.preparation import as_clip_sees
from textdiff.threads import settle_threads

KEPT = 5  # best classes of a picture at least: what is taken for what needs two


@dataclass(frozen=True)
class Classification:
    """Pictures of `data`, classified."""

    data: CaptionedImages
    classifier: Classifier
    classified: Classified
    protocol: ZeroShotProtocol

    @property
    def classes(self) -> Classes:
        return self.classifier.classes

    @property
    def title(self) -> str:
        return f"{len(self.classes)} classes, truth by {self.protocol.truth}: {self.data.title}"

    @cached_property
    def counts(self) -> Counts | None:
        """What is taken for what; None without a truth."""
        judged = self.classified.judged
        return confusion(self.classified, judged, len(self.classes)) if judged else None

    def measure(self) -> ZeroShotResult | UnjudgedResult:
        cut = self.classifier.prompts_cut
        if self.classified.judged is None or self.counts is None:
            return count_first(self.classified, self.classes, cut)
        return measure_accuracies(
            self.classified.judged,
            self.counts,
            self.classes,
            pictures=[self.data.identifiers[index] for index in self.classified.pictures],
            prompts_cut=cut,
        )

    def predictions(self, top: int) -> Iterator[Prediction]:
        """The `top` best classes of each picture."""
        return predictions_of(self.classified, self.data, self.classes, top)

    def save_confusion(self, path: str, result: ZeroShotResult) -> None:
        """Draws what is taken for what, of pictures with a truth; says where."""
        assert self.counts is not None  # as there is such a result
        top_1 = f"top-1 {result.accuracies.top_1.accuracy.value:.1%}"
        title = f"{top_1}, {self.title}"
        draw_confusion(path, result, self.counts, self.classes.names, title)
        print(f"confusion: {path}")


def classify_pictures(settings: ClassifySettings, device: str) -> Classification:
    """Every picture of the split among all classes.

    Raises:
        UsageError: classes or templates that cannot be used, or a confusion of unknown truth.
        DataError: pictures or their truth that cannot be used.
    """
    clip = ClipModel.load(settings.clip).freeze().to(device)
    config = data_of_run(settings.data, "--clip", settings.clip)
    own = trained_on(settings.clip, config)
    data = open_pictures(as_clip_sees(config, clip), settings.split, own)
    truth = truth_of(data, settings.truth, settings.classes)
    if settings.confusion and truth.labels is None:
        raise UsageError("--confusion needs to know what is right; see --truth")
    prompts = choose_prompts(settings.templates, truth, data)
    settle_threads(device)
    classifier = build_classifier(clip, truth.classes, prompts, settings.clip)
    cache = open_cache(settings.feature_cache, settings.data)
    by = CachedFeatures(ClipExtractor(settings.clip, clip), cache)
    kept = max(settings.top, KEPT)
    classified = classify(features_of(by, data), classifier, truth, kept)
    protocol = zero_shot_protocol(
        truth, prompts, data_protocol(data), clip_protocol(settings.clip, clip)
    )
    return Classification(data, classifier, classified, protocol)
