"""Settings of `textdiff prior`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from textdiff.evaluation.settings import Device, JsonFile, Limit, SearchedSplit
from textdiff.pipeline.prior.config import EmbeddingSampling

Count = Annotated[int, Field(ge=1)]


class PriorEvalSettings(EmbeddingSampling):
    """Protocol: every image of the split (or the first `limit`) with its first caption, for which
    an embedding is drawn; it is a query among all these images."""

    prior: str = Field(description="run folder of a prior, or an exported one")
    embeddings: str = Field(description="file of embeddings that 'textdiff embed' wrote")
    split: SearchedSplit = "test"
    limit: Limit = None
    candidates: list[Count] = Field(
        [1, 2, 4],
        min_length=1,
        description="embeddings drawn for each image, of which the nearest to the text is kept; a "
        "row of the table each",
    )
    device: Device = "auto"
    json: JsonFile = None  # type: ignore[assignment]  # of a deprecated method's name
