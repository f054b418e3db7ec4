"""Features of pictures or captions with all that says what they are; one file each.

    <name>.safetensors  features (n, D) float32, positions (n,) int64, captions: JSON as bytes
                        metadata "about": JSON of the rest, "sha256": of all of it

The hash covers every byte but itself: a file that was cut off, edited or rotted is an error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textdiff.errors import DataError, UsageError
from textdiff.evaluation.features.extractor import DECISIVE, ExtractorProtocol
from textdiff.evaluation.results import from_json, to_json
from textdiff.files import replacing
from textdiff.types import Features

FORMAT = 2  # of the files; raise it when what stands in them changes its meaning


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
    from safetensors.torch import save_file

    texts = json.dumps(features.captions).encode()
    tensors = {
        "features": features.features.contiguous(),
        "positions": torch.tensor(features.positions, dtype=torch.long),
        "captions": torch.frombuffer(bytearray(texts), dtype=torch.uint8),
    }
    about = json.dumps(
        {
            "format": FORMAT,
            "key": key,
            "extractor": to_json(features.extractor),
            "source": to_json(features.source),
            "bad": {str(index): reason for index, reason in features.bad.items()},
        }
    )
    with replacing(path) as temporary:
        save_file(tensors, temporary, {"about": about, "sha256": digest(about, tensors)})


def read_features(path: str | Path, key: str | None = None) -> FeatureSet:
    """key: that it must have been written with; None: any.

    Raises:
        DataError: the file is damaged, of another format or key, or holds no features, or some
            that are not finite.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(Path(path).expanduser(), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no dict
        if "about" not in metadata or "sha256" not in metadata:
            raise DataError(f"{path} is no file of features; 'textdiff features' writes one")
        if digest(metadata["about"], tensors) != metadata["sha256"]:
            raise DataError(f"{path} is damaged: its content is not what was written")
        about = json.loads(metadata["about"])
        if about["format"] != FORMAT:
            raise DataError(
                f"{path} is a file of features of format {about['format']}, this version reads "
                f"{FORMAT}; write it again with 'textdiff features'"
            )
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
            captions=json.loads(tensors["captions"].numpy().tobytes()),
            extractor=from_json(ExtractorProtocol, about["extractor"], f"{path}, extractor"),
            source=about["source"],
            bad={int(index): reason for index, reason in about["bad"].items()},
        )
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} cannot be read as features: {error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no file of features of this version: {error}") from None


def digest(about: str, tensors: Mapping[str, Tensor]) -> str:
    sha256 = hashlib.sha256(about.encode())
    for name, tensor in sorted(tensors.items()):
        sha256.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        sha256.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return sha256.hexdigest()


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
