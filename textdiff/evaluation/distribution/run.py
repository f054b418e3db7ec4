"""From settings to a comparison with its protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace

from textdiff.errors import UsageError
from textdiff.evaluation.distribution.by_item import item_names
from textdiff.evaluation.distribution.drawn import Drawn, given_features, size_in
from textdiff.evaluation.distribution.measure import measure_distribution
from textdiff.evaluation.distribution.result import DistributionProtocol, DistributionResult
from textdiff.evaluation.distribution.sets import (
    Real,
    Training,
    drawn_pictures,
    real_pictures,
    training_pictures,
)
from textdiff.evaluation.distribution.settings import DistributionSettings
from textdiff.evaluation.distribution.sheet import save_nearest
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.feature_set import check_same_extractor, read_features
from textdiff.evaluation.protocol import data_protocol, sampling_protocol
from textdiff.metrics.neighbours import NEIGHBOURS
from textdiff.pipeline.config import SamplingConfig


@dataclass(frozen=True)
class Compared:
    """Drawn and real pictures; training: None where no copies were looked for."""

    drawn: Drawn
    real: Real
    training: Training | None
    notes: list[str]

    def measure(self, seed: int = 0) -> DistributionResult:
        """seed: of the halves of the real pictures. Raises DataError: fewer than two of a kind."""
        result = measure_distribution(
            self.drawn.features.features,
            self.real.features.features,
            per_prompt=self.drawn.per_prompt,
            unit_length=self.unit_length,
            copies=self.training.copies if self.training else None,
            names=item_names(self.drawn.features, self.real.features),
            seed=seed,
        )
        notes = [*self.drawn.notes, *self.notes, *self.note_on_sizes()]
        return replace(result, warnings=[*result.warnings, *notes])

    def note_on_sizes(self) -> list[str]:
        """A sentence where drawn and real pictures are not of one size."""
        drawn, real = self.drawn.image_size, size_in(self.real.source)
        if drawn is None or real is None or drawn == real:
            return []
        return [
            f"Drawn pictures are of {drawn} pixels, real ones of {real}: the numbers are of that "
            "difference too."
        ]

    def protocol(
        self, prompt_seed: int, config: SamplingConfig, compare_size: int | None = None
    ) -> DistributionProtocol:
        """prompt_seed, config: of pictures that were drawn. compare_size: at which."""
        return DistributionProtocol(
            neighbours=NEIGHBOURS,
            unit_length=self.unit_length,
            per_prompt=self.drawn.per_prompt,
            features=self.drawn.features.extractor,
            model=self.drawn.model,
            pictures=self.drawn.source,
            data=self.real.source,
            training=data_protocol(self.training.data) if self.training else None,
            held_out=self.training.held_out if self.training else None,
            prompt_seed=prompt_seed,
            sampling=sampling_protocol(config) if self.drawn.model else None,
            compare_size=compare_size,
        )

    @property
    def unit_length(self) -> bool:
        """A CLIP's features mean something by their direction alone."""
        return self.drawn.features.extractor.kind == "clip"

    def save_grid(self, path: str, count: int) -> None:
        """Drawn pictures above their nearest training ones. Raises UsageError: there are none."""
        if self.drawn.show is None or self.training is None:
            raise UsageError("--grid: there are no training pictures to show; see the notes above")
        save_nearest(
            path,
            self.training.copies.drawn,
            show=self.drawn.show,
            prompts=[" ".join(texts[:1]) for texts in self.drawn.features.captions],
            training=self.training.data,
            known=self.training.features,
            count=count,
        )


def compare_files(features_file: str, reference: str) -> Compared:
    """Two files of features.

    Raises:
        UsageError: they are by two extractors. DataError: one cannot be read.
    """
    drawn, real = read_features(features_file), read_features(reference)
    other = f"--features-file {features_file}"
    check_same_extractor(f"--reference {reference}", real, other, drawn.extractor)
    notes = notes_on(drawn.extractor.kind, drawn.extractor.name)
    return Compared(given_features(drawn), Real(real, real.title, real.source), None, notes)


def compare_pictures(settings: DistributionSettings, by: CachedFeatures, device: str) -> Compared:
    """Pictures, drawn now or given, or features of them, against real ones.

    Raises:
        UsageError, DataError: as `drawn_pictures` and `real_pictures`.
    """
    drawn, config = drawn_pictures(settings, by, device)
    real = real_pictures(settings, by, config)
    notes, training = notes_on(by.protocol.kind, by.protocol.name), None
    if config is not None and settings.training_split:
        looked_for = training_pictures(
            by,
            config,
            drawn.features.features,
            real,
            split=settings.training_split,
            held_out_split=settings.held_out_split,
        )
        if isinstance(looked_for, Training):
            training = looked_for
        else:
            notes.append(looked_for)
    return Compared(drawn, real, training, notes)


def notes_on(kind: str, name: str) -> list[str]:
    """What to know of metrics by this kind of extractor."""
    if kind == "clip":
        return []
    return [f"CMMD is meant for features of a CLIP; here it is of those by {name}."]
