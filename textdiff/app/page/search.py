"""The tab that searches: by text, by picture, by text without another, and more like a result.

A search says where it found nothing: scores below the index' threshold are those of pictures that
have nothing to do with the query; they are shown only when they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from markupsafe import Markup

from textdiff.app.engine import Engine
from textdiff.app.page.beginning import politely
from textdiff.app.page.form import QUICK
from textdiff.app.page.history import open_picture
from textdiff.app.page.markup import Figure, button, figures, image, notice
from textdiff.app.page.widgets import drop_zone, html, text_of
from textdiff.app.search import SearchRequest

if TYPE_CHECKING:
    from textdiff.retrieval import Found, Hit

TOP = 24
NO_INDEX = "No index to search: start the server with --index and a folder of 'textdiff index'."
INTRO = "Search by a text, by a picture, or by both; what is to be absent goes below."
# A search takes a moment in its own worker; several may wait for it.
SEARCHING: dict[str, Any] = {
    "show_progress": "minimal",
    "concurrency_limit": None,
    "api_visibility": "private",
}


@dataclass
class SearchTab:
    """search_for: event that searches for a picture by its id, and what it gives."""

    index: gr.Dropdown
    outputs: list[Any]
    search_for: Any


def build(engine: Engine) -> SearchTab:
    """Within the tab."""
    tab = _Tab(engine)
    return SearchTab(tab.index, tab.outputs, tab.for_picture)


class _Tab:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        names = engine.settings.index
        with gr.Row(elem_classes="sides"):
            with gr.Column(elem_classes="ask"):
                self.index = gr.Dropdown(
                    names,
                    value=next(iter(names), None),
                    label="Index",
                    visible=len(names) > 1,
                    elem_id="index",
                )
                text = _words("Text", "a cat", "query")
                start = gr.Button("Search", variant="primary", elem_id="search")
            with gr.Column(elem_classes="answer"):
                self.said = html(notice(INTRO if names else NO_INDEX), "search-said")
                self.results = html("", "results")
            with gr.Column(elem_classes="more"):
                minus = _words("Without", "what is to be absent", "minus")
                file = drop_zone("Picture to search by", "query-file")
                self.shown = html("", "query-picture")
                top = gr.Slider(
                    1,
                    engine.limits.results,
                    value=min(TOP, engine.limits.results),
                    step=1,
                    label="Results",
                )
        self.picture = gr.State(None)
        self.outputs = [self.said, self.results, self.picture, self.shown]
        asked = [self.index, text, minus, self.picture, top]
        for event in (start.click, text.submit, minus.submit):
            event(self._search, asked, [self.said, self.results], **SEARCHING)
        file.upload(self._upload, None, [*self.outputs[2:], self.said], **QUICK).then(
            self._search, asked, [self.said, self.results], **SEARCHING
        )
        self.shown.click(lambda: (None, ""), None, self.outputs[2:], **QUICK)
        self.results.click(
            self._more_like, [self.index, top], [self.said, self.results], **SEARCHING
        )

    def for_picture(self, index: str, picture_id: str) -> tuple[Any, ...]:
        """Pictures of the index that are nearest to one of the gallery."""
        request = SearchRequest(index=index, picture=picture_id, top=TOP)
        return (*self._answer(request), picture_id, self._query_picture(picture_id))

    def _search(
        self, index: str, text: str, minus: str, picture: str | None, top: float
    ) -> tuple[str, str]:
        if not text and picture is None:
            return notice("Type what the pictures should show, or choose a picture.", "error"), ""
        request = SearchRequest(
            index=index, text=text or None, minus=minus or None, picture=picture, top=int(top)
        )
        return self._answer(request)

    def _more_like(self, index: str, top: float, event: gr.EventData) -> tuple[str, str]:
        kind, _, row = text_of(event, "key").partition(":")
        if kind != "row" or not row.isdigit():
            return gr.skip(), gr.skip()
        return self._answer(SearchRequest(index=index, row=int(row), top=int(top)))

    def _answer(self, request: SearchRequest) -> tuple[str, str]:
        with politely() as failed:
            found = self.engine.search(request)
            return notice(said_of(found), "done"), self._figures(request.index, found)
        return failed[0], ""

    def _figures(self, index: str, found: Found) -> str:
        matches = found.matches
        others = found.hits[len(matches) :]
        parts = [Markup(self._list(index, matches, "matches"))] if matches else []
        if others:
            below = "Show the nearest ones all the same" if not matches else "Below the threshold"
            inside = Markup(self._list(index, others, "below the threshold"))
            parts.append(Markup("<details><summary>{}</summary>{}</details>").format(below, inside))
        return Markup("").join(parts)

    def _list(self, index: str, hits: Sequence[Hit], label: str) -> str:
        return figures([self._figure(index, hit) for hit in hits], label)

    def _figure(self, index: str, hit: Hit) -> Figure:
        number, row = self.engine.indexes.names().index(index), f"row:{hit.row}"
        alike = f" (and {hit.group_size - 1} nearly equal)" if hit.group_size > 1 else ""
        named = hit.caption or hit.where
        return Figure(
            source=f"api/indexes/{number}/{hit.row}.png",
            alt=named,
            caption=f"{named}{alike}",
            badge=f"{hit.score:.2f}",
            key=row,
            actions=[(row, "More like this")],
        )

    def _upload(self, event: gr.EventData) -> tuple[Any, ...]:
        with politely() as failed:
            picture_id = text_of(event, "id")
            return picture_id, self._query_picture(picture_id), gr.skip()
        return None, "", failed[0]

    def _query_picture(self, picture_id: str) -> str:
        from textdiff.evaluation.report.images import data_uri

        source = data_uri(open_picture(self.engine, picture_id))
        return Markup('<div class="query">{} {}</div>').format(
            image(source, "the picture to search by"), button("remove", "Leave it out", kind="link")
        )


def said_of(found: Found) -> str:
    """How many match, or that none does."""
    seconds = f"{found.seconds:.2f} s"
    if found.threshold is None:
        return f"{len(found.hits)} nearest in {seconds}; this index cannot tell what matches."
    if found.nothing_matches:
        best = f"; the nearest has {found.hits[0].score:.2f}" if found.hits else ""
        return f"No match: nothing scores above {found.threshold:.2f}{best} ({seconds})."
    count = len(found.matches)
    return (
        f"{count} match{'es' if count > 1 else ''} above {found.threshold:.2f}, the best first "
        f"({seconds})."
    )


def _words(label: str, placeholder: str, name: str) -> gr.Textbox:
    return gr.Textbox(
        label=label, placeholder=placeholder, lines=1, max_lines=1, max_length=1000, elem_id=name
    )
