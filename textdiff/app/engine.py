"""What the page and the API share: models, a queue of jobs, a gallery, and what is allowed.

    request ── checked ──► queue ──► worker: model, plan, steps ──► Drawn ──► gallery

One worker draws, so that requests do not slow each other down and memory is that of one; another
searches, which takes a moment and should not wait for a drawing. Nothing heavy is imported before
the first job, so that the page is there at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from textdiff.app.drawing import Drawn, Preview, draw
from textdiff.app.gallery import Gallery
from textdiff.app.jobs import Jobs, Ticket, Work
from textdiff.app.models import Clips, Models
from textdiff.app.request import PICTURES, DrawRequest, Recalled, recalled
from textdiff.app.search import Indexes, SearchRequest
from textdiff.app.settings import UiSettings
from textdiff.app.uploads import ID as UPLOAD_ID
from textdiff.app.uploads import Uploads
from textdiff.errors import DataError, TextdiffError

if TYPE_CHECKING:
    from PIL.Image import Image

    from textdiff.retrieval import Found

UPLOADS = "uploads"  # a folder in the gallery's


class Engine:
    """All of it, made once from the settings.

    Raises:
        CheckpointError, DataError: a folder that holds no model, no index or no run. UsageError: a
            gallery that cannot be written.
    """

    def __init__(self, settings: UiSettings) -> None:
        self.settings, self.limits = settings, settings.limits
        self.models = Models(settings.model, settings.device, settings.model_memory)
        self.clips = Clips([*settings.judge, *settings.guide], settings.device)
        self.gallery = Gallery(settings.gallery)
        self.uploads = Uploads(Path(settings.gallery) / UPLOADS, settings.limits)
        self.indexes = Indexes(settings.index, self.models, self.clips, settings.limits.queue)
        self._threads_settled = False
        for run in settings.run:
            if not Path(run).expanduser().is_dir():
                raise DataError(f"--run {run}: no such folder; give a run folder of textdiff train")
        self.jobs = Jobs(settings.limits.queue, "drawing")

    def start(self) -> None:
        """Begins to load the first model, so that the first request need not wait for it."""
        if self.settings.model:
            self.jobs.submit(self._preload)

    def draw(self, request: DrawRequest) -> Ticket:
        """Queues a request; its events are `Waiting`, `Preview` and `Drawn`, or `Failed`.

        Raises:
            UsageError: what the server does not have or does not allow. QueueFullError: later.
        """
        request.check(self.limits, self.models, self.clips)
        files = self._files(request)
        return self.jobs.submit(lambda: self._drawn(request, files, keep=True))

    def submit(self, work: Work) -> Ticket:
        """Queues work of another kind for the same worker; within it `drawing` draws."""
        return self.jobs.submit(work)

    def drawing(self, request: DrawRequest) -> Iterator[Preview | Drawn | None]:
        """Draws in the worker that calls it, and keeps nothing. Raises as `draw`, and as a plan."""
        request.check(self.limits, self.models, self.clips)
        return self._drawn(request, self._files(request), keep=False)

    def search(self, request: SearchRequest) -> Found:
        """Waits for its turn, which is soon, and searches. Raises as `Indexes.search`; UsageError:
        more than the server allows."""
        request.check(self.limits)
        return self.indexes.search(request, self.open_picture)

    def indexed_picture(self, index: str, row: int) -> Image:
        """A picture of an index. Raises as `Indexes.picture`."""
        return self.indexes.picture(index, row)

    def open_picture(self, picture_id: str) -> Image:
        """Of an upload or of the gallery.

        Raises:
            DataError: none has this id.
        """
        from textdiff.data.picture_files import read_picture

        return read_picture("picture", self._file(picture_id))

    def recall(self, png: bytes) -> Recalled:
        """The settings in a PNG that textdiff drew, here or anywhere.

        Raises:
            UsageError: none, or damaged ones. BadImage: beyond the limits of uploads.
        """
        from textdiff.app.uploads import picture_of
        from textdiff.pipeline.origin import origin_in

        picture_of(png, self.limits)
        origin = origin_in(png, "the picture")
        return recalled(origin, self.models, self.clips, self.uploads.ids())

    def close(self) -> None:
        """Ends all jobs, the running one after its present step."""
        self.jobs.close()

    def _files(self, request: DrawRequest) -> dict[str, Path]:
        """The files of the pictures that a request names by id.

        Raises:
            DataError: no upload or picture has the id.
        """
        ids = {name: getattr(request, name) for name in PICTURES}
        return {name: self._file(each) for name, each in ids.items() if each is not None}

    def _file(self, picture_id: str) -> Path:
        if not UPLOAD_ID.fullmatch(picture_id):
            picture_id = self.uploads.add(self.gallery.png(picture_id))  # which may be deleted
        return self.uploads.path(picture_id)

    def _preload(self) -> Iterator[None]:
        self._settle_threads()
        try:
            self.models.get(self.models.names()[0])
        except TextdiffError as error:  # its state says so too; the others can be used
            logging.getLogger(__name__).warning("%s", error)
        yield None

    def _settle_threads(self) -> None:
        """Of the worker, once: bits depend on their number."""
        from textdiff.devices import pick_device
        from textdiff.threads import settle_threads

        if not self._threads_settled:
            settle_threads(pick_device(self.settings.device))
            self._threads_settled = True

    def _drawn(
        self, request: DrawRequest, files: dict[str, Path], keep: bool
    ) -> Iterator[Preview | Drawn | None]:
        self._settle_threads()
        loaded = self.models.loaded(request.model, request.step)
        yield None  # to be stopped here, where the model took its time
        for name in (request.clip_guidance.guide, request.selection.judge):
            if name is not None:
                loaded.pipe.guides[name] = self.clips.get(name)
        for event in draw(request, loaded, files):
            if isinstance(event, Drawn) and keep:
                yield replace(event, ids=self._keep(event))
            else:
                yield event

    def _keep(self, drawn: Drawn) -> tuple[str, ...]:
        pairs = zip(drawn.pictures, drawn.origins, strict=True)
        return tuple(self.gallery.add(picture, origin) for picture, origin in pairs)
