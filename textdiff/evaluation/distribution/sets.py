"""All sets of pictures of a comparison, from what a user gives.

Drawn and real pictures are prepared alike: at the model's size, or at that of the given ones. A
distance between pictures of two sizes would be one of blur.
"""

from __future__ import annotations

from dataclasses import dataclass

from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.data.config import fit_data
from textdiff.data.of_run import data_of_run
from textdiff.errors import EmptySplitError
from textdiff.evaluation.distribution.drawn import (
    Drawn,
    draw,
    given_features,
    open_given,
    size_in,
    size_of_given,
)
from textdiff.evaluation.distribution.measure import Copies, find_copies
from textdiff.evaluation.distribution.settings import DistributionSettings
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.evaluation.protocol import DataProtocol, SourceProtocol, data_protocol
from textdiff.pipeline import TextToImage
from textdiff.types import Features


@dataclass(frozen=True)
class Real:
    """title: what they are called. data: None of a file of features."""

    features: FeatureSet
    title: str
    source: SourceProtocol
    data: CaptionedImages | None = None

    def is_all_of(self, split: str) -> bool:
        """Whether these are all pictures of that split."""
        return self.data is not None and self.data.split == split and self.complete

    @property
    def complete(self) -> bool:
        return self.data is not None and len(self.features) + len(self.data.bad) == len(self.data)


@dataclass(frozen=True)
class Training:
    """Pictures that were trained on, with their features, and what of them is nearest to drawn and
    to held-out ones."""

    data: CaptionedImages
    features: FeatureSet
    copies: Copies
    held_out: DataProtocol


def drawn_pictures(
    settings: DistributionSettings, by: CachedFeatures, device: str
) -> tuple[Drawn, DataConfig | None]:
    """The pictures that are judged, and how real ones are prepared to stand beside them; None where
    nobody says which these are, as a file of their features is given.

    Raises:
        UsageError, DataError: as `draw` and `open_given`; features of another extractor.
    """
    given, side = settings.data, settings.compare_size
    unknown = settings.reference is not None and "source" not in given.model_fields_set
    if settings.model is not None:
        pipe = TextToImage.load(settings.model, device)
        config = data_of_run(given, "--model", settings.model)
        config = fit_data(config, pipe.config.image_size, f"--model {settings.model}")
        drawn = draw(
            by,
            pipe,
            settings.model,
            open_data(config, settings.split),
            settings,
            num_prompts=settings.num_prompts,
            num_images=settings.num_images,
            prompt_seed=settings.prompt_seed,
            side=side,
        )
        return drawn, config if side is None else config.model_copy(update={"image_size": side})
    if settings.images is not None:
        side = side or size_of_given(settings.images, given)
        sized = given.model_copy(update={"image_size": side})
        drawn = open_given(by, settings.images, sized)
        if unknown:
            return drawn, None
        config = data_of_run(given, "--images", settings.images)
        return drawn, config.model_copy(update={"image_size": side, "need_captions": False})
    assert settings.features_file is not None  # the settings' own check
    features = by.of_file("--features-file", settings.features_file)
    if unknown:
        return given_features(features), None
    config = by.extractor.prepared(data_of_run(given, "--features-file", settings.features_file))
    if side is None and "image_size" not in given.model_fields_set:
        side = size_in(features.source)
    if side is not None:
        config = config.model_copy(update={"image_size": side})
    return given_features(features), config


def real_pictures(
    settings: DistributionSettings, by: CachedFeatures, config: DataConfig | None
) -> Real:
    """Those that the others are compared with.

    Raises:
        UsageError: a file of features by another extractor. DataError: too many cannot be used.
    """
    if settings.reference is not None:
        features = by.of_file("--reference", settings.reference)
        return Real(features, features.title, features.source)
    assert config is not None  # it is where there is no reference
    data = open_data(config, settings.split)
    features = by.of_split(data, settings.limit)
    return Real(features, data.title, data_protocol(data), data)


def training_pictures(
    by: CachedFeatures,
    config: DataConfig,
    drawn: Features,
    real: Real,
    *,
    split: str,
    held_out_split: str,
) -> Training | str:
    """What of the training split is nearest to each picture; or why that is not known, in words.

    Args:
        drawn: (n, D). real: may be the pictures that were trained on.
    """
    try:
        if real.data is not None and real.is_all_of(split):
            data, known = real.data, real.features
        else:
            data = open_data(config, split)
            known = by.of_split(data)
        others = open_data(config, held_out_split)
    except EmptySplitError as error:
        return f"No copies were looked for: {error}."
    held_out = by.of_split(others).features
    copies = find_copies(drawn, held_out, known.features)
    return Training(data, known, copies, data_protocol(others))
