"""From settings to pictures with their prompts, their scores, and the protocol of both."""

from __future__ import annotations

from dataclasses import dataclass, field

from textdiff.clip import ClipModel
from textdiff.data import open_data
from textdiff.data.config import fit_data
from textdiff.data.of_run import data_of_run
from textdiff.evaluation.clip_score.measure import (
    ClipScoreProtocol,
    ClipScoreResult,
    measure_clip_score,
)
from textdiff.evaluation.clip_score.settings import ClipScoreSettings
from textdiff.evaluation.evaluators import involved_in
from textdiff.evaluation.features.cache import open_cache
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.clip import ClipExtractor
from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.evaluation.pictures import draw_pictures, open_pictures, real_pictures
from textdiff.evaluation.protocol import (
    SourceProtocol,
    clip_protocol,
    data_protocol,
    model_protocol,
    sampling_protocol,
)
from textdiff.metrics.preparation import as_clip_sees
from textdiff.pipeline import TextToImage
from textdiff.threads import settle_threads


@dataclass(frozen=True)
class Judged:
    """by: the features of the CLIP that judges. pictures: by kind. title: of what their prompts are
    from. involved: as `involved_in` gives it."""

    by: CachedFeatures
    pictures: dict[str, FeatureSet]
    title: str
    protocol: ClipScoreProtocol
    involved: dict[str, str] = field(default_factory=dict)

    def measure(self, weight: float) -> ClipScoreResult:
        """Raises DataError: a picture has no prompt."""
        return measure_clip_score(self.by, self.pictures, weight, self.involved)


def judge_drawn(settings: ClipScoreSettings, model: str, device: str) -> Judged:
    """Pictures that a model draws now, and real ones of the same prompts.

    Raises:
        UsageError, DataError: as `real_pictures` and `draw_pictures`.
    """
    pipe = TextToImage.load(model, device)
    config = data_of_run(settings.data, "--model", model)
    config = fit_data(config, pipe.config.image_size, f"--model {model}")
    data = open_data(config, settings.split)
    clip = ClipModel.load(settings.judge) if settings.judge else pipe.clip
    by = features_by(clip, settings.judge or f"{model}/clip", settings, device)
    involved = involved_in(pipe, model, settings)
    real = real_pictures(data, settings.num_prompts, settings.prompt_seed, pipe)
    settle_threads(device)
    drawn = draw_pictures(pipe, real.prompts, settings)
    protocol = ClipScoreProtocol(
        model=model_protocol(model, pipe, settings),
        clip=clip_protocol(by.protocol.name, clip),
        data=data_protocol(data),
        prompt_seed=settings.prompt_seed,
        sampling=sampling_protocol(settings),
    )
    pictures = {"drawn": by.of_prompted(drawn), "real": by.of_prompted(real)}
    return Judged(by, pictures, data.title, protocol, involved)


def judge_given(settings: ClipScoreSettings, judge: str, device: str) -> Judged:
    """Pictures of a folder, or of a file of features.

    Raises:
        UsageError: features of another CLIP. DataError: they cannot be used.
    """
    clip = ClipModel.load(judge)
    by = features_by(clip, judge, settings, device)
    settle_threads(device)
    source: SourceProtocol
    if settings.images:
        data = open_pictures(settings.images, as_clip_sees(settings.data, clip))
        given, title, source = by.of_split(data), data.title, data_protocol(data)
    else:
        given = by.of_file("--features-file", str(settings.features_file))
        title, source = given.title, given.source
    protocol = ClipScoreProtocol(
        model=None,
        clip=clip_protocol(judge, clip),
        data=source,
        prompt_seed=settings.prompt_seed,
        sampling=None,
    )
    return Judged(by, {"given": given}, title, protocol)


def features_by(
    clip: ClipModel, name: str, settings: ClipScoreSettings, device: str
) -> CachedFeatures:
    """name: what the user calls the CLIP."""
    cache = open_cache(settings.feature_cache, settings.data)
    return CachedFeatures(ClipExtractor(name, clip.freeze().to(device)), cache)
