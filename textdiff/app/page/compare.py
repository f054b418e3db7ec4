"""The tab that compares: a grid over one or two settings, all else and the seed being the same."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr
from markupsafe import Markup

from textdiff.app.axes import Axis, example, settings_of_cells
from textdiff.app.comparing import (
    CellDone,
    CellDrawing,
    CellEvent,
    CellFailed,
    CellWaiting,
    Grid,
    Memory,
    check_grid,
    compare,
)
from textdiff.app.engine import Engine
from textdiff.app.page.form import QUICK, Form
from textdiff.app.page.generate import LONG
from textdiff.app.page.markup import Figure, download, figures, notice, progress
from textdiff.app.page.progress import previews
from textdiff.app.page.widgets import html
from textdiff.errors import TextdiffError

if TYPE_CHECKING:
    from textdiff.app.sheet import SheetCell

NONE = "(none)"
INTRO = "Choose what varies. The seed stays the same, so that what differs is what was changed."


def build(engine: Engine, generate: Form) -> None:
    """Within the tab. generate: the form of the tab that draws, to copy from."""
    _Tab(engine, generate)


@dataclass
class Table:
    """A grid that is being filled."""

    grid: Grid
    judge: str | None
    events: dict[tuple[int, int], CellEvent] = field(default_factory=dict)

    def take(self, event: CellEvent) -> None:
        self.events[event.cell.row, event.cell.column] = event

    @property
    def finished(self) -> int:
        return sum(isinstance(event, (CellDone, CellFailed)) for event in self.events.values())

    @property
    def reused(self) -> int:
        return sum(isinstance(event, CellDone) and event.reused for event in self.events.values())

    @property
    def size(self) -> int:
        return self.grid.rows * self.grid.columns

    @property
    def column_labels(self) -> list[str]:
        return [self.grid.x.label(k) for k in range(self.grid.columns)]

    @property
    def row_labels(self) -> list[str]:
        y = self.grid.y
        return [""] if y is None else [y.label(k) for k in range(self.grid.rows)]

    def html(self) -> str:
        """The table, as far as it is filled."""
        th = Markup('<th scope="{}">{}</th>')
        head = Markup("").join(th.format("col", label) for label in self.column_labels)
        corner = Markup("") if self.grid.y is None else Markup("<td></td>")
        rows = Markup("").join(
            Markup("<tr>{}{}</tr>").format(
                Markup("") if self.grid.y is None else th.format("row", label),
                Markup("").join(self._cell(row, column) for column in range(self.grid.columns)),
            )
            for row, label in enumerate(self.row_labels)
        )
        return Markup(
            '<div class="cells" tabindex="0" role="region" aria-label="comparison"><table>'
            "<thead><tr>{}{}</tr></thead><tbody>{}</tbody></table></div>"
        ).format(corner, head, rows)

    def _cell(self, row: int, column: int) -> Markup:
        from textdiff.evaluation.report.images import data_uri

        event = self.events.get((row, column))
        named = ", ".join(filter(None, (self.column_labels[column], self.row_labels[row])))
        if event is None:
            return Markup("<td></td>")
        if isinstance(event, CellFailed):
            return Markup("<td>{}</td>").format(Markup(notice(f"{event.error}.", "error")))
        if isinstance(event, CellWaiting):
            return Markup("<td>{}</td>").format(Markup(notice("waiting", "busy")))
        if isinstance(event, CellDrawing):
            pictures = event.preview.pictures
            return Markup("<td>{}</td>").format(Markup(previews(pictures, named)))
        shown = figures([Figure(data_uri(each), named) for each in event.pictures], named)
        return Markup('<td>{}<p><span class="badge">{}</span></p></td>').format(
            Markup(shown), self.below(event)
        )

    def below(self, event: CellDone) -> str:
        """The score of a cell."""
        return "" if event.score is None else f"{event.score:.1f}"

    def words(self) -> str:
        """How far it is, and at the end how it was made."""
        if self.finished < self.size:
            number = f"Cell {self.finished + 1} of {self.size}"
            return progress(number, self.finished, self.size)
        drawn, request = self.size - self.reused, self.grid.request
        said = (
            f"{self.size} cells, {drawn} drawn now, {self.reused} as before; seed {request.seed}."
        )
        if self.judge is not None:
            said += f" Below each: CLIP score by {self.judge}, the mean of its pictures."
            if self.judge in (request.clip_guidance.guide, request.selection.judge):
                said += " It had a part in drawing them, which flatters them."
        return notice(said, "done")

    def png(self) -> bytes | None:
        """All of it as one picture; None where no cell has one."""
        from textdiff.app.sheet import labelled_sheet

        cells = [
            [self._sheet_cell(row, column) for column in range(self.grid.columns)]
            for row in range(self.grid.rows)
        ]
        if not any(cell.pictures for row in cells for cell in row):
            return None
        request = self.grid.request
        title = f"{request.prompt[0]}, seed {request.seed}, {request.model}"
        content = io.BytesIO()
        labelled_sheet(cells, self.column_labels, self.row_labels, title).save(content, "PNG")
        return content.getvalue()

    def _sheet_cell(self, row: int, column: int) -> SheetCell:
        from textdiff.app.sheet import SheetCell

        event = self.events.get((row, column))
        if isinstance(event, CellDone):
            return SheetCell(event.pictures, self.below(event))
        return SheetCell((), "not drawn")


class _Tab:
    def __init__(self, engine: Engine, generate: Form) -> None:
        self.engine, self.form, self.memory = engine, Form(engine, "cells"), Memory()
        names, judges = list(settings_of_cells()), engine.settings.judge
        with gr.Row(elem_classes="sides"):
            with gr.Column(elem_classes="ask"):
                self.form.prompts()
                x = gr.Dropdown(names, value="guidance_scale", label="Across", elem_id="x-name")
                x_values = _values("Values across", "1, 3, 7", "x-values")
                y = gr.Dropdown([NONE, *names], value=NONE, label="Down", elem_id="y-name")
                y_values = _values("Values down", "", "y-values", visible=False)
                judge = gr.Dropdown(
                    [NONE, *judges],
                    value=next(iter(judges), NONE),
                    label="Scores by",
                    elem_id="judge",
                )
                with gr.Row():
                    start = gr.Button(
                        "Compare", variant="primary", elem_id="compare", min_width=120
                    )
                    stop = gr.Button(
                        "Stop",
                        variant="stop",
                        interactive=False,
                        elem_id="compare-stop",
                        min_width=80,
                    )
            with gr.Column(elem_classes="answer"):
                said = html(notice(INTRO), "compare-said")
                table = html("", "cells")
                link = html("", "compare-link")
            with gr.Column(elem_classes="more"):
                copy = gr.Button("Copy settings from Generate", size="sm", elem_id="copy")
                self._settings()
        for name, values in ((x, x_values), (y, y_values)):
            name.change(_example, name, values, **QUICK)
        same = [generate.fields[name] for name in self.form.fields]  # their order differs
        copy.click(lambda *values: values, same, self.form.components, **QUICK)
        running = start.click(
            self._compare,
            [x, x_values, y, y_values, judge, *self.form.components],
            [said, table, link, stop],
            trigger_mode="once",
            **LONG,
        )
        stop.click(_stopped, None, [said, stop], cancels=[running], **QUICK)

    def _settings(self) -> None:
        form = self.form
        form.amount(2)
        form.seed(lockable=False)
        form.negative()
        form.sampling()
        with gr.Accordion("Model and checkpoint", open=False):
            form.model()
        with gr.Accordion(
            "CLIP guidance, best of several, others", open=False, elem_id="cells-advanced"
        ):
            form.clip()
            form.others()

    def _compare(
        self, x: str, x_values: str, y: str, y_values: str, judge: str, *given: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Words, the table, a link to it as a picture, whether it can be stopped."""
        try:
            request = self.form.request(self.form.values(given), {})
            down = None if y == NONE else Axis.read(y, y_values)
            grid = Grid(request, Axis.read(x, x_values), down)
            scored_by = None if judge == NONE else judge
            check_grid(self.engine, grid, scored_by)
            filled = Table(grid, scored_by)
            yield filled.words(), filled.html(), "", gr.update(interactive=True)
            for event in compare(self.engine, grid, self.memory, scored_by):
                filled.take(event)
                yield filled.words(), filled.html(), gr.skip(), gr.skip()
            yield gr.skip(), gr.skip(), _link(filled), gr.update(interactive=False)
        except TextdiffError as error:
            said = notice(f"{' '.join(str(error).split())}.", "error")
            yield said, gr.skip(), gr.skip(), gr.update(interactive=False)


def _values(label: str, value: str, name: str, visible: bool = True) -> gr.Textbox:
    return gr.Textbox(
        value,
        label=label,
        info="separated by commas; prompts one per line",
        lines=1,
        max_lines=8,
        max_length=10_000,
        visible=visible,
        elem_id=name,
    )


def _example(name: str) -> Any:
    if name == NONE:
        return gr.update(value="", visible=False)
    return gr.update(value="", placeholder=example(name), visible=True)


def _stopped() -> tuple[Any, ...]:
    return notice("Stopped; what was drawn is kept for the next comparison.", "done"), gr.update(
        interactive=False
    )


def _link(filled: Table) -> str:
    png = filled.png()
    if png is None:
        return ""
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    return download(source, "comparison.png", "Download as one labelled PNG")
