"""A grid of pictures over one or two settings, the seed and all else being the same.

    request, axes ──► cells ── each a job of its own ──► CellDrawing ... CellDone, or CellFailed
                       └── those drawn before, for anybody, are taken from `Memory`

Each cell waits its turn, so that others draw in between. A cell that cannot be drawn says why, and
the others go on.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textdiff.app.axes import Axis
from textdiff.app.drawing import Drawn, Preview
from textdiff.app.jobs import Cancelled, Failed, Waiting
from textdiff.app.request import DrawRequest, at_most
from textdiff.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from textdiff.app.engine import Engine

MEMORY = 1 << 28  # bytes of pictures


@dataclass(frozen=True)
class Cell:
    """One combination, and where it stands."""

    row: int
    column: int
    request: DrawRequest


@dataclass(frozen=True)
class Grid:
    """`request` with the values of `x` from left to right, those of `y` from top to bottom."""

    request: DrawRequest
    x: Axis
    y: Axis | None = None

    @property
    def rows(self) -> int:
        return 1 if self.y is None else len(self.y.texts)

    @property
    def columns(self) -> int:
        return len(self.x.texts)

    def cells(self) -> list[Cell]:
        """All of them, row by row.

        Raises:
            UsageError: both axes vary the same setting, or values that do not go together.
        """
        if self.y is not None and self.x.name == self.y.name:
            raise UsageError(f"both axes vary {self.x.name}; choose another setting for one")
        cells = []
        for row in range(self.rows):
            of_row = self.request if self.y is None else self.y.applied(self.request, row)
            cells += [
                Cell(row, column, self.x.applied(of_row, column)) for column in range(self.columns)
            ]
        return cells


@dataclass(frozen=True)
class CellWaiting:
    """position: how many jobs come before it."""

    cell: Cell
    position: int


@dataclass(frozen=True)
class CellDrawing:
    """preview: what the model takes its pictures to be now."""

    cell: Cell
    preview: Preview


@dataclass(frozen=True)
class CellDone:
    """scores: of each picture by the judge, 100 x cosine; none without a judge.

    reused: whether the pictures were drawn before.
    """

    cell: Cell
    pictures: tuple[Image, ...]
    scores: tuple[float, ...]
    reused: bool

    @property
    def score(self) -> float | None:
        """Their mean."""
        return sum(self.scores) / len(self.scores) if self.scores else None


@dataclass(frozen=True)
class CellFailed:
    """error: in words."""

    cell: Cell
    error: str


CellEvent = CellWaiting | CellDrawing | CellDone | CellFailed


class Memory:
    """Pictures of cells and their scores, those used last, up to so many bytes; for any thread."""

    def __init__(self, most: int = MEMORY) -> None:
        self._most, self._lock = most, threading.Lock()
        self._pictures: OrderedDict[str, tuple[Image, ...]] = OrderedDict()
        self._scores: dict[tuple[str, str], tuple[float, ...]] = {}

    def pictures(self, key: str) -> tuple[Image, ...] | None:
        with self._lock:
            if key in self._pictures:
                self._pictures.move_to_end(key)
            return self._pictures.get(key)

    def scores(self, key: str, judge: str) -> tuple[float, ...] | None:
        with self._lock:
            return self._scores.get((key, judge))

    def keep(self, key: str, pictures: tuple[Image, ...]) -> None:
        with self._lock:
            self._pictures[key] = pictures
            while len(self._pictures) > 1 and self._bytes() > self._most:
                gone, _ = self._pictures.popitem(last=False)
                self._scores = {at: each for at, each in self._scores.items() if at[0] != gone}

    def keep_scores(self, key: str, judge: str, scores: tuple[float, ...]) -> None:
        with self._lock:
            if key in self._pictures:
                self._scores[key, judge] = scores

    def _bytes(self) -> int:
        every = (picture for pictures in self._pictures.values() for picture in pictures)
        return sum(picture.width * picture.height * len(picture.getbands()) for picture in every)


def check_grid(engine: Engine, grid: Grid, judge: str | None = None) -> list[Cell]:
    """The cells, within the server's limits.

    Raises:
        UsageError: too many of them, one that the server does not allow, an unknown judge.
    """
    at_most("cells of the grid", grid.rows * grid.columns, engine.limits.cells)
    cells = grid.cells()
    for cell in cells:
        cell.request.check(engine.limits, engine.models, engine.clips)
    if judge is not None:
        engine.clips.check("judge", judge)
    return cells


def compare(
    engine: Engine, grid: Grid, memory: Memory, judge: str | None = None
) -> Iterator[CellEvent]:
    """Fills the grid. Cells of one checkpoint follow each other, so that each is loaded once.

    judge: a CLIP of the server's that scores each picture with its prompt; it should have had no
        part in drawing them.

    Raises:
        UsageError: as `check_grid`. QueueFullError: too many others wait.
    """
    cells = check_grid(engine, grid, judge)
    of_model = [(cell.request.model, cell.request.step) for cell in cells]
    for _, cell in sorted(enumerate(cells), key=lambda each: of_model.index(of_model[each[0]])):
        yield from _fill(engine, cell, memory, judge)


def _fill(engine: Engine, cell: Cell, memory: Memory, judge: str | None) -> Iterator[CellEvent]:
    key = _key(engine, cell.request)
    pictures = memory.pictures(key)
    scores = () if judge is None else memory.scores(key, judge)
    if pictures is not None and scores is not None:
        yield CellDone(cell, pictures, scores, reused=True)
        return

    def work() -> Iterator[object]:
        drawn = pictures
        if drawn is None:
            for event in engine.drawing(cell.request):
                if isinstance(event, Drawn):
                    drawn = event.pictures
                else:
                    yield event
        assert drawn is not None  # drawing ends with Drawn, or raises
        memory.keep(key, drawn)
        scored: tuple[float, ...] = ()
        if judge is not None:
            scored = scores_of(engine, judge, drawn, cell.request.prompts)
            memory.keep_scores(key, judge, scored)
        yield CellDone(cell, drawn, scored, reused=pictures is not None)

    ticket = engine.submit(work)
    try:
        for event in ticket.events():
            if isinstance(event, Waiting):
                yield CellWaiting(cell, event.position)
            elif isinstance(event, Preview):
                yield CellDrawing(cell, event)
            elif isinstance(event, CellDone):
                yield event
            elif isinstance(event, Failed):
                yield CellFailed(cell, event.error)
            elif isinstance(event, Cancelled):
                yield CellFailed(cell, "stopped")
    finally:
        ticket.cancel()  # of one that has ended nothing


def scores_of(
    engine: Engine, judge: str, pictures: tuple[Image, ...], prompts: list[str]
) -> tuple[float, ...]:
    """100 x cosine of each picture with its prompt, by a CLIP of the server's; in its worker."""
    import numpy as np
    import torch

    from textdiff.clip.features import image_features, text_features
    from textdiff.clip.noised import NoisedClip
    from textdiff.metrics.clip_score import clip_scores

    clip = engine.clips.get(judge)
    clean = clip.clean() if isinstance(clip, NoisedClip) else clip
    pixels = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    scores = clip_scores(image_features(clean, images), text_features(clean, prompts))
    return tuple(scores.tolist())


def _key(engine: Engine, request: DrawRequest) -> str:
    """What makes the pictures; of a run that trains, the newest checkpoint is another each time."""
    steps = engine.models.steps(request.model) if request.step is None else [request.step]
    values = request.model_dump(mode="json") | {"step": next(iter(steps), None)}
    return json.dumps(values, sort_keys=True)
