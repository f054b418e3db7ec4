"""Features of pictures or captions with all that says what they are; one file each.

<name>.safetensors  features (n, D) float32, positions (n,) int64, captions: JSON as bytes
                    and JSON of the rest, sealed (see `textdiff.sealed`)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from textdiff.errors import DataError, UsageError
from textdiff.evaluation.features.extractor import DECISIVE, ExtractorProtocol
from textdiff.evaluation.results import from_json, to_json
from textdiff.sealed import read_sealed, text_as_tensor, text_of_tensor, write_sealed
from textdiff.types import Features

FORMAT = 3  # of the files; raise it when what stands in them changes its meaning


@dataclass(frozen=True)
class FeatureSet:
    """features: (n, D) float32, not normalised.

    positions: which of the pictures that were asked for each row is of; others could not be used.
    captions: of each row, possibly none.
    extractor: by what. source: of what, as JSON: data set and split, or model and settings.
    bad: index -> reason of the images of a split that could not be used.
    """

    features: Features
    positions: list[int]
    captions: list[list[str]]
    extractor: ExtractorProtocol
    source: Mapping[str, Any]
    bad: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.positions)

    def reordered(self, order: Sequence[int]) -> FeatureSet:
        """The rows with these numbers, in this order."""
        return replace(
            self,
            features=self.features[list(order)],
            positions=[self.positions[k] for k in order],
            captions=[self.captions[k] for k in order],
        )

    @property
    def title(self) -> str:
        """What tables call it."""
        split = f", split {self.source['split']}" if "split" in self.source else ""
        return f"{self.source.get('source', 'a feature file')}{split} ({len(self)} pictures)"

    @property
    def without_caption(self) -> list[int]:
        """Rows of pictures that have none, or an empty one."""
        return [k for k, texts in enumerate(self.captions) if not any(texts)]

    @property
    def prompts(self) -> list[str]:
        """The first caption of each row.

        Raises:
            DataError: a row has none.
        """
        lonely = self.without_caption
        if lonely:
            raise DataError(
                f"{len(lonely)} of {len(self)} pictures have no caption, the first is number "
                f"{self.positions[lonely[0]]}; give each one"
            )
        return [texts[0] for texts in self.captions]


def write_features(path: Path, features: FeatureSet, key: str = "") -> None:
    """Whole or not at all. key: what it is found by in a cache. Raises OSError."""
    about = {
        "format": FORMAT,
        "key": key,
        "extractor": to_json(features.extractor),
        "source": to_json(features.source),
        "bad": {str(index): reason for index, reason in features.bad.items()},
    }
    tensors = {
        "features": features.features,
        "positions": torch.tensor(features.positions, dtype=torch.long),
        "captions": text_as_tensor(features.captions),
    }
    write_sealed(path, about, tensors)


def read_features(path: str | Path, key: str | None = None) -> FeatureSet:
    """key: that it must have been written with; None: any.

    Raises:
        DataError: the file is damaged, of another format or key, or holds no features, or some
            that are not finite.
    """
    about, tensors = read_sealed(
        path, what="features", written_by="textdiff features", number=FORMAT
    )
    try:
        if broken := int((~tensors["features"].isfinite().all(dim=1)).sum()):
            raise DataError(
                f"{path} holds features that are NaN or infinite, of {broken} of "
                f"{len(tensors['features'])}; write it again with 'textdiff features'"
            )
        if key is not None and about["key"] != key:
            raise DataError(f"{path} holds features of other pictures")
        return FeatureSet(
            features=tensors["features"],
            positions=tensors["positions"].tolist(),
            captions=text_of_tensor(tensors["captions"]),
            extractor=from_json(ExtractorProtocol, about["extractor"], f"{path}, extractor"),
            source=about["source"],
            bad={int(index): reason for index, reason in about["bad"].items()},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no file of features of this version: {error}") from None


def check_same_extractor(
    flag: str, features: FeatureSet, other: str, expected: ExtractorProtocol
) -> None:
    """Raises UsageError where the features that `flag` named are not by that of `other`."""
    if not features.extractor.same_as(expected):
        raise UsageError(
            f"{flag} holds features by {features.extractor}, {other} has {expected}: "
            f"{_difference(features.extractor, expected)}; take one extractor for both"
        )


def _difference(one: ExtractorProtocol, other: ExtractorProtocol) -> str:
    return "they differ in " + ", ".join(
        name for name in DECISIVE if getattr(one, name) != getattr(other, name)
    )
