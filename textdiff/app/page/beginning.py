"""What a drawing starts from, where it is not noise: a picture, how much of it goes, and a mask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gradio as gr

from textdiff.app.engine import Engine
from textdiff.app.page.form import QUICK
from textdiff.app.page.history import open_picture
from textdiff.app.page.markup import notice
from textdiff.app.page.painter import EMPTY, canvas_of, mask_in, painter, uploaded_mask
from textdiff.app.page.widgets import drop_zone, html, text_of
from textdiff.app.request import DrawRequest
from textdiff.errors import TextdiffError

INTRO = "Choose a picture here, or one of the gallery below with its button 'Start from this'."


@dataclass
class Beginning:
    """picture_id: state, of the picture that is started from; None: noise."""

    engine: Engine

    def __post_init__(self) -> None:
        self.picture_id = gr.State(None)
        self.said = html(notice(INTRO), "beginning-said")
        self.file = drop_zone("Picture to start from", "init-file")
        self.strength = gr.Textbox(
            label="Strength",
            info="share of the way back to noise, above 0 and up to 1",
            placeholder="0.6, or 1 with a mask",
            max_length=20,
            elem_id="strength",
        )
        self.canvas = painter()
        self.mask_file = drop_zone("Mask of the same size", "mask-file")
        self.none = gr.Button("Start from noise again", size="sm", elem_id="from-noise")
        self.file.upload(self._upload, None, self.outputs, **QUICK)
        self.mask_file.upload(self._upload_mask, self.picture_id, [self.canvas, self.said], **QUICK)
        self.none.click(self.cleared, None, self.outputs, **QUICK)

    @property
    def inputs(self) -> list[Any]:
        """What `pictures` takes."""
        return [self.picture_id, self.strength, self.canvas]

    @property
    def outputs(self) -> list[Any]:
        """What `chosen`, `recalled` and `cleared` give."""
        return [self.picture_id, self.strength, self.canvas, self.said]

    def pictures(self, picture_id: str | None, strength: str, canvas: Any) -> dict[str, Any]:
        """The settings of a request.

        Raises:
            DataError: the picture is gone. UsageError: the mask cannot be read.
        """
        if picture_id is None:
            return {}
        mask = mask_in(canvas, open_picture(self.engine, picture_id).size, self.engine.limits)
        mask_id = None if mask is None else self.engine.uploads.keep(mask)
        typed = strength.strip() or None
        return {"init_image": picture_id, "strength": typed, "mask": mask_id}

    def chosen(self, picture_id: str) -> tuple[Any, ...]:
        """Starts from a picture of the gallery or an upload. Raises DataError: it is gone."""
        picture = open_picture(self.engine, picture_id)
        size = f"{picture.width} x {picture.height}"
        said = f"Started from this picture ({size}). Paint over what is to be drawn anew."
        return picture_id, gr.skip(), canvas_of(picture), notice(said)

    def recalled(self, request: DrawRequest) -> tuple[Any, ...]:
        """What a request starts from. Raises DataError: a picture of it is gone."""
        if request.init_image is None:
            return self.cleared()
        picture = open_picture(self.engine, request.init_image)
        mask = None if request.mask is None else open_picture(self.engine, request.mask)
        said = notice("Started from the same picture.")
        strength = "" if request.strength is None else f"{request.strength:g}"
        return request.init_image, strength, canvas_of(picture, mask), said

    def cleared(self) -> tuple[Any, ...]:
        """Noise."""
        return None, "", EMPTY, notice(INTRO)

    def _upload(self, event: gr.EventData) -> tuple[Any, ...]:
        with politely() as failed:
            return self.chosen(text_of(event, "id"))
        return gr.skip(), gr.skip(), gr.skip(), failed[0]

    def _upload_mask(self, picture_id: str | None, event: gr.EventData) -> tuple[Any, ...]:
        if picture_id is None:
            return gr.skip(), notice("Choose the picture first that the mask is for.", "error")
        with politely() as failed:
            picture = open_picture(self.engine, picture_id)
            mask = uploaded_mask(self.engine.uploads.path(text_of(event, "id")), picture.size)
            return canvas_of(picture, mask), notice("The mask is on the picture.")
        return gr.skip(), failed[0]


@contextmanager
def politely() -> Iterator[list[str]]:
    """Errors of the user's as a notice in the list that is given."""
    failed: list[str] = []
    try:
        yield failed
    except TextdiffError as error:
        failed.append(notice(f"{' '.join(str(error).split())}.", "error"))
