"""CLIP embeddings of a data set in one file, which trainings read in place of its pictures.

    e.safetensors  image (n, E), text (m, E): unit length, float32;  mean, std (E,) of training rows
                   rows and texts: JSON as bytes;  space, CLIP and data as JSON, sealed

Rows stand in the order of the data set, texts in the order in which their images do; so equal data
and an equal CLIP give equal bytes, whatever computed them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor

from textdiff.data.embedding_space import UNIT, EmbeddingSpace
from textdiff.data.entries import Split
from textdiff.data.text import shown
from textdiff.errors import DataError, EmptySplitError
from textdiff.sealed import digest, read_sealed, text_as_tensor, text_of_tensor, write_sealed
from textdiff.types import Features

FORMAT = 1
COMMAND = "textdiff embed"
LENGTH_TOLERANCE = 1e-3  # of a unit embedding's length


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """image: (n, E). text: (m, E), of `texts`, the distinct captions.

    identifiers, splits, captions: of each row, as `CaptionedImages` has them.
    clip: what the user called the CLIP. space: what its embeddings must agree with.
    source: of what, as JSON. attribution: credit that the data ask for.
    bad: identifier -> reason of the images that could not be used.
    """

    image: Features
    text: Features
    texts: list[str]
    identifiers: list[str]
    splits: list[Split]
    captions: list[list[str]]
    clip: str
    space: EmbeddingSpace
    source: Mapping[str, Any]
    attribution: str | None
    bad: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.identifiers)

    @cached_property
    def row_of_text(self) -> dict[str, int]:
        return {text: row for row, text in enumerate(self.texts)}

    @property
    def mean(self) -> Float[Tensor, " dim"]:
        """Of the training rows, by coordinate."""
        return self._training.double().mean(dim=0).float()

    @property
    def std(self) -> Float[Tensor, " dim"]:
        """Of the training rows, by coordinate, over n."""
        return self._training.double().std(dim=0, correction=0).float()

    @property
    def _training(self) -> Features:
        rows = [row for row, split in enumerate(self.splits) if split == "train"]
        return self.image[rows] if rows else self.image

    def text_of(self, captions: Sequence[str]) -> Features:
        """(B, E) of captions that are among the texts."""
        return self.text[[self.row_of_text[caption] for caption in captions]]

    def of_split(self, split: str) -> EmbeddedImages:
        """The rows of a split, or "all".

        Raises:
            EmptySplitError: it has none.
        """
        rows = [row for row, name in enumerate(self.splits) if split in ("all", name)]
        if not rows:
            there = ", ".join(f"{name} ({n})" for name, n in Counter(self.splits).items())
            raise EmptySplitError(
                f"the embeddings of {shown(str(self.source.get('source')))} have no row of split "
                f"'{split}'; there are {there}; '{COMMAND}' with --split all has every row"
            )
        return EmbeddedImages(self, split, rows)

    def rows_of(self, identifiers: Sequence[str]) -> list[int]:
        """Where the embeddings of these images stand.

        Raises:
            DataError: one is not there.
        """
        place = {name: row for row, name in enumerate(self.identifiers)}
        missing = [name for name in identifiers if name not in place]
        if missing:
            why = self.bad.get(missing[0], "embed the data as they are now")
            raise DataError(
                f"{len(missing)} of {len(identifiers)} images have no embedding, the first is "
                f"{shown(missing[0])}: {why}"
            )
        return [place[name] for name in identifiers]


class EmbeddedImages:
    """The rows of one split, as a training reads them (`TrainingData`): what `read` gives in place
    of pictures is (n, E) float32."""

    group_size = 1

    def __init__(self, embeddings: Embeddings, split: str, rows: Sequence[int]) -> None:
        self.embeddings, self.split = embeddings, split
        self.image = embeddings.image[list(rows)]
        self.identifiers = [embeddings.identifiers[row] for row in rows]
        self.captions = [embeddings.captions[row] for row in rows]
        self.name = str(embeddings.source.get("source"))
        self.notes: list[str] = []
        self.attribution = embeddings.attribution
        self.bad: dict[int, str] = {}
        self.files: list[Path] = []  # the fingerprint covers all
        content = text_as_tensor([self.identifiers, self.captions])
        about = embeddings.space.model_dump_json()
        self.fingerprint = digest(about, {"image": self.image, "content": content})

    def __len__(self) -> int:
        return len(self.identifiers)

    @property
    def title(self) -> str:
        return f"embeddings of {self.name}, split {self.split} ({len(self)} images)"

    @property
    def described(self) -> Mapping[str, Any]:
        return {**self.embeddings.space.model_dump(mode="json"), **self.embeddings.source}

    @property
    def all_captions(self) -> list[str]:
        """Those of all rows in one list, repeats included."""
        return [text for captions in self.captions for text in captions]

    @property
    def rejected(self) -> Counter[str]:
        return Counter()

    def read(self, indices: Sequence[int]) -> tuple[list[int], Tensor]:
        rows = [int(index) for index in indices]
        return rows, self.image[rows]

    def usable(self, indices: Sequence[int]) -> tuple[list[int], Tensor]:
        return self.read(indices)

    def note_bad(self, reasons: Mapping[int, str]) -> None:
        """None is: a file with a row that cannot be used is refused as a whole."""


def write_embeddings(path: str | Path, embeddings: Embeddings) -> None:
    """Whole or not at all. Raises OSError."""
    rows = [embeddings.identifiers, embeddings.splits, embeddings.captions]
    about = {
        "format": FORMAT,
        "clip": embeddings.clip,
        "space": embeddings.space.model_dump(mode="json"),
        "source": dict(embeddings.source),
        "attribution": embeddings.attribution,
        "bad": dict(embeddings.bad),
    }
    tensors = {
        "image": embeddings.image,
        "text": embeddings.text,
        "mean": embeddings.mean,
        "std": embeddings.std,
        "rows": text_as_tensor(rows),
        "texts": text_as_tensor(embeddings.texts),
    }
    write_sealed(path, about, tensors)


def read_embeddings(path: str | Path) -> Embeddings:
    """Raises DataError: the file is damaged, of another format, empty, or holds embeddings that are
    not finite or not as long as it says."""
    about, tensors = read_sealed(path, what="embeddings", written_by=COMMAND, number=FORMAT)
    try:
        identifiers, splits, captions = text_of_tensor(tensors["rows"])
        embeddings = Embeddings(
            image=tensors["image"],
            text=tensors["text"],
            texts=text_of_tensor(tensors["texts"]),
            identifiers=identifiers,
            splits=cast("list[Split]", splits),
            captions=captions,
            clip=about["clip"],
            space=EmbeddingSpace(**about["space"]),
            source=about["source"],
            attribution=about["attribution"],
            bad=about["bad"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} holds no embeddings of this version: {error}") from None
    check_embeddings(path, embeddings)
    return embeddings


def check_embeddings(path: str | Path, embeddings: Embeddings) -> None:
    """Raises DataError for what no training could use."""
    if not len(embeddings):
        raise DataError(f"{path} holds no embedding; embed data that have images")
    for kind, rows in (("image", embeddings.image), ("text", embeddings.text)):
        broken = (~rows.isfinite().all(dim=1)).nonzero()[:, 0]
        if len(broken):
            raise DataError(
                f"{path}: {len(broken)} of {len(rows)} {kind} embeddings are NaN or infinite, the "
                f"first is number {int(broken[0])}; embed again with a CLIP that is not damaged"
            )
        lengths = rows.norm(dim=1)
        if embeddings.space.normalisation == UNIT and len(rows):
            off = (lengths - 1).abs()
            worst = int(off.argmax())
            if off[worst] > LENGTH_TOLERANCE:
                raise DataError(
                    f"{path}: {kind} embedding {worst} has length {lengths[worst]:.4g}, but the "
                    f"file says normalisation {UNIT}, length 1; embed again"
                )
