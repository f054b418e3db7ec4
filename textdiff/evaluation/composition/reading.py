"""A reader of the scenes of a data set, and what its numbers depend on."""

from __future__ import annotations

from textdiff.data import CaptionedImages
from textdiff.data.scenes.sprites import Sprites
from textdiff.evaluation.composition.asked import scenes_of
from textdiff.evaluation.composition.result import ReaderProtocol
from textdiff.metrics.composition.reader import LIMITS, SceneReader, vocabulary_of
from textdiff.metrics.composition.smooth import SIGMA


def reader_for(data: CaptionedImages) -> SceneReader:
    """Of all that is in the scenes of `data`, at the size of its pictures.

    Raises:
        DataError: the data do not say what is in them.
    """
    return SceneReader(vocabulary_of(scenes_of(data)), Sprites(data.image_size))


def reader_protocol(reader: SceneReader) -> ReaderProtocol:
    known = reader.vocabulary
    return ReaderProtocol(
        kinds=list(known.kinds),
        colours=list(known.colours),
        sizes=list(known.sizes),
        backgrounds=list(known.backgrounds),
        image_size=reader.image_size,
        sigma=SIGMA,
        min_share=LIMITS.min_share,
        max_error=LIMITS.max_error,
    )
