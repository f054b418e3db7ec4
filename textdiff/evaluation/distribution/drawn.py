"""The pictures that are judged: drawn by a model, in a folder, or a file of features.

model ── prompts of the split ──► pictures ──┐
folder ── decoded, streamed ─────────────────┼──► features, those of a prompt in a row
file ────────────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from textdiff.data import CaptionedImages, DataConfig
from textdiff.data.decode import BadImage
from textdiff.errors import DataError, UsageError
from textdiff.evaluation.distribution.grouping import group_by_prompt
from textdiff.evaluation.evaluators import involved_in, note_on_part
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.evaluation.pictures import (
    PromptedPictures,
    choose_prompts,
    draw_pictures,
    open_pictures,
    resized,
)
from textdiff.evaluation.protocol import (
    DataProtocol,
    ModelProtocol,
    SourceProtocol,
    data_protocol,
    model_protocol,
    sampling_protocol,
)
from textdiff.evaluation.results import to_json
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.types import Pictures

LOOKED_AT = 64  # of the pictures of a folder, for their size


@dataclass(frozen=True)
class Drawn:
    """features: those of one prompt in a row, `per_prompt` of each.

    show: pictures by the numbers of rows, at one size; None: there are features alone.
    model: None where they were given. source: None where they were drawn now.
    notes: sentences on what flatters them, and on those that were left out.
    side: of the pictures that the features are of, where it is none of the model's or the source's.
    """

    features: FeatureSet
    per_prompt: int
    show: Callable[[Sequence[int]], Pictures] | None = None
    model: ModelProtocol | None = None
    source: SourceProtocol | None = None
    notes: list[str] = field(default_factory=list)
    side: int | None = None

    @property
    def image_size(self) -> int | None:
        """Side of the pictures, where it is known."""
        if self.side is not None:
            return self.side
        if self.model is not None:
            return self.model.image_size
        return None if self.source is None else size_in(self.source)


def size_in(source: SourceProtocol) -> int | None:
    """Side of the pictures that features are of, as their source says; None: it does not."""
    if isinstance(source, DataProtocol):
        return source.image_size
    return source.get("image_size", source.get("model", {}).get("image_size"))


def draw(
    by: CachedFeatures,
    pipe: TextToImage,
    name: str,
    data: CaptionedImages,
    config: SamplingConfig,
    *,
    num_prompts: int,
    num_images: int,
    prompt_seed: int,
    side: int | None = None,
) -> Drawn:
    """`num_images` pictures of each of up to `num_prompts` captions of the split.

    Args:
        name: what the user called `pipe`.
        side: that pictures are made to have, with the filter of the real ones; None: the model's.

    Raises:
        UsageError: fewer than two prompts, several processes, or as `draw_pictures`.
    """
    if by.ranks.count > 1:
        raise UsageError(
            "--model draws in one process; start one, or draw with 'textdiff sample' and give "
            "--images"
        )
    prompts = choose_prompts(data, num_prompts, prompt_seed, pipe)
    if len(prompts) < 2:
        raise UsageError(f"{data.title} has one caption that can be a prompt; take another --split")
    drawn = draw_pictures(pipe, [text for text in prompts for _ in range(num_images)], config)
    if side is not None:
        seen = data.config.model_copy(update={"image_size": side})
        drawn = PromptedPictures(drawn.prompts, resized(drawn.images, seen))
    involved = involved_in(pipe, name, config)
    return of_drawn(
        by, drawn, num_images, model_protocol(name, pipe, config), config, side, involved=involved
    )


def of_drawn(
    by: CachedFeatures,
    drawn: PromptedPictures,
    num_images: int,
    model: ModelProtocol,
    config: SamplingConfig,
    side: int | None = None,
    *,
    involved: Mapping[str, str],
) -> Drawn:
    """Pictures that `model` drew as `config` says, `num_images` of each prompt in a row; side: to
    which they were made, None: they are as drawn."""
    origin = {"source": model.name, "model": to_json(model), "sampling": sampling_protocol(config)}
    notes = note_on_part(by.protocol.name, by.protocol.weights, involved)
    features = by.of_prompted(drawn, origin)
    return Drawn(features, num_images, lambda k: drawn.images[list(k)], model, None, notes, side)


def open_given(by: CachedFeatures, folder: str, config: DataConfig) -> Drawn:
    """Pictures of a folder, streamed. config: of their size. Raises DataError."""
    data = open_pictures(folder, config, captioned=False)
    features, per_prompt, notes = group_by_prompt(by.of_split(data))

    def show(numbers: Sequence[int]) -> Pictures:
        return torch.stack([data.image(features.positions[k]) for k in numbers])

    return Drawn(features, per_prompt, show, source=data_protocol(data), notes=notes)


def given_features(features: FeatureSet) -> Drawn:
    """Of a file."""
    grouped, per_prompt, notes = group_by_prompt(features)
    return Drawn(grouped, per_prompt, source=features.source, notes=notes)


def size_of_given(folder: str, config: DataConfig) -> int:
    """The shorter side of the pictures in a folder, or what was asked for.

    Raises:
        UsageError: they have several. DataError: none can be read.
    """
    if "image_size" in config.model_fields_set:
        return config.image_size
    data, sides = open_pictures(folder, config, captioned=False), set()
    for index in range(min(LOOKED_AT, len(data))):
        try:
            sides.add(min(data.original_size(index)))
        except BadImage:
            continue
    if not sides:
        raise DataError(f"{folder}: none of its first {LOOKED_AT} pictures can be read")
    if len(sides) > 1:
        raise UsageError(
            f"--images {folder} has pictures of several sizes ({min(sides)} to {max(sides)} "
            "pixels); give --data.image-size, at which they and the real ones are compared"
        )
    return sides.pop()
