"""Searches of the indexes that the server was started with.

    SearchRequest ── checked ──► Indexes.search: index and its CLIP, loaded once ──► Found

One search at a time, beside the drawing and not behind it: it takes a moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from textdiff.app.jobs import QueueFullError
from textdiff.app.models import Clips, Models
from textdiff.app.request import at_most
from textdiff.app.settings import Limits
from textdiff.config import Settings, build
from textdiff.errors import CheckpointError, DataError, TextdiffError, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from textdiff.clip import ClipModel
    from textdiff.retrieval import Found, Index, Searcher

MANIFEST = "manifest.json"  # as retrieval.manifest has it, which loads torch


class SearchRequest(Settings):
    """What is looked for: texts and a picture, weighted and summed; or more like a picture of the
    index."""

    index: str = Field(description="one of the server's indexes, by name")
    text: str | None = Field(None, description="what the pictures show")
    picture: str | None = Field(None, description="id of an upload or a picture to be like")
    minus: str | None = Field(None, description="what the pictures do not show")
    row: int | None = Field(None, ge=0, description="alone: more like this picture of the index")
    text_weight: float = Field(1.0, gt=0, description="how much the text counts")
    picture_weight: float = Field(1.0, gt=0, description="how much the picture counts")
    minus_weight: float = Field(1.0, gt=0, description="how much `minus` counts")
    top: int = Field(20, ge=1, description="pictures to show")

    @model_validator(mode="after")
    def _check(self) -> SearchRequest:
        parts = [name for name in ("text", "picture", "minus") if getattr(self, name) is not None]
        if self.row is not None and parts:
            raise ValueError(f"row with {parts[0]}; give row alone, or leave it out")
        if self.row is None and not parts:
            raise ValueError("nothing to look for; give text, picture or row")
        return self

    @classmethod
    def of(cls, values: dict[str, object]) -> SearchRequest:
        """Of keys and values, such as a JSON object. Raises UsageError as `DrawRequest.of`."""
        return build(cls, [("the request", values)])

    def check(self, limits: Limits) -> None:
        """Raises UsageError for more than the server allows."""
        at_most("top", self.top, limits.results)
        for text in (self.text, self.minus):
            at_most("letters of a text", len(text or ""), limits.prompt_length)


class Indexes:
    """Indexes by the names that they were given by, opened when they are first searched.

    most: searches that wait at once.

    Raises:
        DataError: a folder that is no index.
    """

    def __init__(self, names: Sequence[str], models: Models, clips: Clips, most: int) -> None:
        for name in names:
            if not (Path(name).expanduser() / MANIFEST).is_file():
                raise DataError(
                    f"{name} is no index: it has no {MANIFEST}; 'textdiff index build' makes one"
                )
        self._names, self._models, self._clips = list(names), models, clips
        self._searchers: dict[str, Searcher] = {}
        self._lock, self._places = threading.Lock(), threading.Semaphore(most)

    def names(self) -> list[str]:
        """In the order in which they were given."""
        return list(self._names)

    def search(self, request: SearchRequest, open_picture: Callable[[str], Image]) -> Found:
        """What a checked request finds.

        open_picture: of its id.

        Raises:
            UsageError: an index that the server does not have, or a query without a direction.
            DataError: an index that cannot be read, or no such picture. CheckpointError: its CLIP
            is not here. QueueFullError: later.
        """
        from textdiff.retrieval import Query, Weighted

        self.check(request.index)
        picture = None if request.picture is None else open_picture(request.picture)
        with self._turn():
            searcher = self._searcher(request.index)
            if request.row is not None:
                return searcher.index.nearest_to_row(request.row, request.top)
            texts = [(request.text, request.text_weight), (request.minus, -request.minus_weight)]
            query = Query(
                texts=[Weighted(text, weight) for text, weight in texts if text is not None],
                pictures=[] if picture is None else [Weighted(picture, request.picture_weight)],
            )
            return searcher.search(query, request.top)

    def picture(self, name: str, row: int) -> Image:
        """A picture of an index, by its row.

        Raises:
            UsageError: no such index or row. DataError: its source is not where it was.
        """
        self.check(name)
        with self._turn():
            return self._searcher(name).index.picture(row)

    def check(self, name: str) -> None:
        """Raises UsageError for a name that is not known."""
        if name not in self._names:
            known = ", ".join(self._names) or "none"
            raise UsageError(f"index '{name:.80}' is not one that this server has: {known}")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise QueueFullError("too many searches wait already; try again in a moment")
        try:
            with self._lock:
                yield
        finally:
            self._places.release()

    def _searcher(self, name: str) -> Searcher:
        from textdiff.retrieval import Index, Searcher

        if name not in self._searchers:
            index = Index.open(name)
            self._searchers[name] = Searcher(index, self._clip_of(index))
        return self._searchers[name]

    def _clip_of(self, index: Index) -> ClipModel:
        """That of its manifest; where it has moved, one of the server's with the same weights."""
        from textdiff.clip import ClipModel
        from textdiff.devices import pick_device
        from textdiff.evaluation.features.clip import ClipExtractor

        try:
            return ClipModel.load(index.manifest.clip).freeze().to(pick_device(self._clips.device))
        except TextdiffError as error:
            cause = error
        for clip in self._others():
            if index.manifest.extractor.same_as(ClipExtractor("", clip).protocol):
                return clip
        raise CheckpointError(
            f"the CLIP of {index.path} is not here ({cause}); give its folder with --judge"
        )

    def _others(self) -> Iterator[ClipModel]:
        from textdiff.clip import ClipModel

        for name in self._clips.names():
            clip = self._clips.get(name)
            if isinstance(clip, ClipModel):
                yield clip
        for name in self._models.names():
            yield self._models.get(name).clip
