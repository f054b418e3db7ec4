"""The tab that draws: settings on one side; what is drawn, and all that was, on the other.

Draw ── Form.request ──► engine ── Preview ... Drawn ──► pictures, gallery
a picture of the gallery, or a PNG dropped in ──► its settings back into the form
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from textdiff.app.engine import Engine
from textdiff.app.page import history
from textdiff.app.page.beginning import Beginning, politely
from textdiff.app.page.form import QUICK, Form, fresh_seed
from textdiff.app.page.markup import notice
from textdiff.app.page.progress import Progress
from textdiff.app.page.widgets import drop_zone, html, text_of, told
from textdiff.app.request import DrawRequest, Recalled, recalled
from textdiff.errors import TextdiffError

# Long work: streamed, with words of our own on how it goes, as many at once as there are clients
# (the engine's queue says who waits), and no route of Gradio's API: ours is under /api.
LONG: dict[str, Any] = {
    "show_progress": "hidden",
    "concurrency_limit": None,
    "api_visibility": "private",
}
SHOW_CHOSEN = "() => document.querySelector('#chosen').scrollIntoView({block: 'nearest'})"
SECONDS = 1.0  # between two looks at whether the model is loaded
READY = "Type a prompt, then press Draw."


@dataclass
class GenerateTab:
    """The components that other tabs look at.

    chosen: state, id of the picture whose settings are shown.
    to_search: its button for the training pictures nearest to it.
    """

    form: Form
    chosen: gr.State
    to_search: gr.Button


def build(engine: Engine, page: gr.Blocks) -> GenerateTab:
    """Within the tab of `page`."""
    return _Tab(engine, page).tab


class _Tab:
    def __init__(self, engine: Engine, page: gr.Blocks) -> None:
        self.engine, self.form = engine, Form(engine, "draw")
        self.ticket_id = gr.State("")
        self.chosen_id: gr.State = gr.State("")
        self.amount_shown = gr.State(history.PAGE)
        with gr.Row(elem_classes="sides"):
            with gr.Column(elem_classes="ask"):
                self._ask()
            with gr.Column(elem_classes="answer"):
                self._answer()
            with gr.Column(elem_classes="more"):
                self._settings()
            with gr.Column(elem_classes="past"):
                html("<h2>Gallery</h2>")
                self.gallery = html("", "gallery")
                self.more = gr.Button("Show more", size="sm", visible=False, elem_id="more")
        self.tab = GenerateTab(self.form, self.chosen_id, self.to_search)
        self._connect()
        page.load(self._history, self.amount_shown, [self.gallery, self.more], **QUICK)
        loading = gr.Timer(SECONDS)
        for event in (page.load, loading.tick):
            event(self._model, None, [self.model_said, loading], **QUICK)

    def _ask(self) -> None:
        self.form.prompts(autofocus=True)
        with gr.Row():
            self.draw = gr.Button("Draw", variant="primary", elem_id="draw", min_width=120)
            self.stop = gr.Button(
                "Stop", variant="stop", interactive=False, elem_id="stop", min_width=80
            )

    def _answer(self) -> None:
        self.model_said = html("", "model-said")
        self.said = html(notice(READY), "said")
        self.pictures = html("", "pictures")
        with gr.Column(visible=False, elem_id="chosen") as self.chosen:
            self.one = html("", "one")
            with gr.Row():
                self.use = gr.Button("Use these settings", size="sm", elem_id="use", min_width=90)
                self.start = gr.Button("Start from this", size="sm", elem_id="start", min_width=90)
                self.to_search = gr.Button(
                    "Nearest training pictures",
                    size="sm",
                    visible=bool(self.engine.settings.index),
                    elem_id="nearest",
                    min_width=90,
                )
                self.delete = gr.Button("Delete", size="sm", elem_id="delete", min_width=90)
                self.close = gr.Button("Close", size="sm", elem_id="close", min_width=90)

    def _settings(self) -> None:
        form = self.form
        form.negative()
        form.amount()
        form.seed()
        form.sampling()
        several = len(self.engine.models.names()) > 1
        with gr.Accordion("Model and checkpoint", open=several):
            form.model()
        with gr.Accordion(
            "CLIP guidance, best of several, others", open=False, elem_id="draw-advanced"
        ):
            form.clip()
            form.others()
        with gr.Accordion("Start from a picture, mask", open=False, elem_id="begin") as self.begin:
            self.beginning = Beginning(self.engine)
        with gr.Accordion("Settings of a PNG", open=False, elem_id="recall"):
            self.png = drop_zone("PNG that textdiff drew", "png-file", "api/settings")
            self.recall_said = html("", "recall-said")

    def _connect(self) -> None:
        form, beginning = self.form, self.beginning
        seed, keep = form.fields["seed"], form.fields["keep_seed"]
        for event in (self.draw.click, form.prompt.submit):
            event(_seed_for, [seed, keep], seed, **QUICK).then(
                self._draw,
                [*beginning.inputs, *form.components],
                [self.said, self.pictures, self.ticket_id, self.stop],
                trigger_mode="once",
                **LONG,
            ).then(self._history, self.amount_shown, [self.gallery, self.more], **QUICK)
        self.stop.click(self._stop, self.ticket_id, None, **QUICK)
        shown = [self.chosen_id, self.chosen, self.one]
        for pictures in (self.pictures, self.gallery):
            pictures.click(self._choose, None, shown, **QUICK).then(None, js=SHOW_CHOSEN)
        self.close.click(_nothing_chosen, None, shown, **QUICK)
        self.delete.click(
            self._delete,
            [self.chosen_id, self.amount_shown],
            [*shown, self.gallery, self.more, self.pictures],
            **QUICK,
        )
        settings = [*form.components, *beginning.outputs, self.begin]
        self.use.click(self._use, self.chosen_id, [self.said, *settings], **QUICK)
        self.start.click(self._start, self.chosen_id, [*beginning.outputs, self.begin], **QUICK)
        self.png.upload(self._recall, None, [self.recall_said, *settings], **QUICK)
        self.more.click(lambda most: most + history.PAGE, self.amount_shown, self.amount_shown)
        self.amount_shown.change(
            self._history, self.amount_shown, [self.gallery, self.more], **QUICK
        )

    # Events.

    def _model(self) -> tuple[str, gr.Timer]:
        """How the first model does, until it is there."""
        state = next(iter(self.engine.models.states()), None)
        if state is None:
            said = "This server has no model that draws; it was started without --model."
            return notice(said), gr.Timer(active=False)
        if state.state == "failed":
            return notice(f"{state.error}.", "error"), gr.Timer(active=False)
        if state.state == "ready":
            return "", gr.Timer(active=False)
        said = f"{state.name} is being loaded; what is asked for waits until then."
        return notice(said, "busy"), gr.Timer(active=True)

    def _draw(
        self, picture_id: str | None, strength: str, canvas: Any, *given: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Words, pictures, the id of the job, whether it can be stopped."""
        try:
            beginning = self.beginning.pictures(picture_id, strength, canvas)
            request = self.form.request(self.form.values(given), beginning)
            ticket = self.engine.draw(request)
        except TextdiffError as error:
            said = notice(f"{' '.join(str(error).split())}.", "error")
            yield said, gr.skip(), "", gr.update(interactive=False)
            return
        seen = Progress(self.engine, request)
        try:
            yield seen.begin(), "", ticket.id, gr.update(interactive=True)
            for event in ticket.events():
                words = seen.words(event)
                pictures = seen.pictures(event)
                yield words, gr.skip() if pictures is None else pictures, gr.skip(), gr.skip()
        finally:  # also of a browser that is gone
            ticket.cancel()
        yield gr.skip(), gr.skip(), "", gr.update(interactive=False)

    def _stop(self, ticket_id: str) -> None:
        ticket = self.engine.jobs.find(ticket_id)
        if ticket is not None:
            ticket.cancel()

    def _history(self, most: int) -> tuple[Any, ...]:
        more = len(self.engine.gallery.list()) > most
        return history.history(self.engine, most), gr.update(visible=more)

    def _choose(self, event: gr.EventData) -> tuple[Any, ...]:
        with politely() as failed:
            picture_id = text_of(event, "key")
            return picture_id, gr.update(visible=True), history.one(self.engine, picture_id)
        return "", gr.update(visible=True), failed[0]

    def _delete(self, picture_id: str, most: int) -> tuple[Any, ...]:
        with politely():
            self.engine.gallery.delete(picture_id)
        return (*_nothing_chosen(), *self._history(most), "")

    def _use(self, picture_id: str) -> tuple[Any, ...]:
        with politely() as failed:
            kept = self.engine.gallery.read(picture_id)
            engine = self.engine
            known = recalled(kept.origin, engine.models, engine.clips, engine.uploads.ids())
            return self._filled(known)
        return (failed[0], *self._unchanged())

    def _recall(self, event: gr.EventData) -> tuple[Any, ...]:
        """What POST /api/settings said of a PNG."""
        with politely() as failed:
            answer = told(event)
            request = DrawRequest.of(dict(answer.get("request", {})))
            return self._filled(Recalled(request, tuple(map(str, answer.get("left_out", ())))))
        return (failed[0], *self._unchanged())

    def _filled(self, known: Recalled) -> tuple[Any, ...]:
        """What to say, the form, the beginning, and whether that is to be seen."""
        left_out = "; ".join(known.left_out)
        said = "These are the settings of the picture, its seed kept; Draw draws it again."
        if left_out:
            said = f"These are the settings of the picture, but: {left_out}."
        begins = known.request.init_image is not None
        return (
            notice(said),
            *self.form.updates(known.request),
            *self.beginning.recalled(known.request),
            gr.update(open=begins),
        )

    def _unchanged(self) -> list[Any]:
        return [gr.skip()] * (len(self.form.components) + len(self.beginning.outputs) + 1)

    def _start(self, picture_id: str) -> tuple[Any, ...]:
        with politely() as failed:
            return (*self.beginning.chosen(picture_id), gr.update(open=True))
        return gr.skip(), gr.skip(), gr.skip(), failed[0], gr.update(open=True)


def _seed_for(seed: float | None, keep: bool) -> Any:
    """A fresh one unless it is to stay."""
    return gr.skip() if keep else fresh_seed()


def _nothing_chosen() -> tuple[Any, ...]:
    return "", gr.update(visible=False), ""
