"""The tab that shows a training: how far it is, whether it learns, curves, pictures over time.

It reads the run's folder every few seconds while it is looked at, and draws anew what changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from markupsafe import Markup

from textdiff.app.engine import Engine
from textdiff.app.page.form import QUICK
from textdiff.app.page.markup import notice
from textdiff.app.page.widgets import html
from textdiff.errors import TextdiffError
from textdiff.evaluation.report.page import fragment

if TYPE_CHECKING:
    from textdiff.app.runs import RunView

SECONDS = 3.0  # between two looks
NO_RUN = "No run to show: start the server with --run and the folder of a training."


def build(engine: Engine, tab: gr.Tab) -> None:
    """Within `tab`."""
    names = runs_of(engine)
    name = gr.Dropdown(
        names,
        value=next(iter(names), None),
        label="Run",
        visible=len(names) > 1,
        elem_id="run-name",
    )
    said = html(notice("" if names else NO_RUN), "run-said")
    shown = html("", "run", elem_classes="run")
    seen = gr.State("")
    timer = gr.Timer(SECONDS, active=False)

    def look(name: str | None, seen: str) -> tuple[Any, ...]:
        """What to say, what to show, and what was seen; all skipped where nothing changed."""
        from textdiff.app.runs import read_run, stamp

        if name not in names:
            return gr.skip(), gr.skip(), gr.skip()
        try:
            now = f"{name} {stamp(name)}"
            view = read_run(name)
            return notice(view.state), gr.skip() if now == seen else page_of(view), now
        except (TextdiffError, OSError) as error:
            return notice(f"{' '.join(str(error).split())}.", "error"), gr.skip(), ""

    outputs = [said, shown, seen]
    tab.select(lambda: gr.Timer(active=True), None, timer, **QUICK)
    tab.select(look, [name, seen], outputs, **QUICK)
    name.change(look, [name, seen], outputs, **QUICK)
    timer.tick(look, [name, seen], outputs, **QUICK)


def runs_of(engine: Engine) -> list[str]:
    """Runs that were named, then models that are runs themselves."""
    models = [name for name in engine.models.names() if (_folder(name) / "metrics.jsonl").is_file()]
    return list(dict.fromkeys([*engine.settings.run, *models]))


def page_of(view: RunView) -> str:
    """Verdict, pictures over time, curves."""
    parts = [Markup("<h2>{} ({})</h2>").format(view.name, view.kind)]
    if view.judged is not None and view.verdict:
        lines = Markup("<br>").join(f"{line[:1].upper()}{line[1:]}." for line in view.verdict)
        parts.append(
            Markup('<p class="verdict"><b>At step {:,}:</b> {}</p>').format(view.judged, lines)
        )
    else:
        parts.append(
            Markup(notice("No verdict yet: it comes with the first evaluation of the run."))
        )
    parts.append(Markup("<h2>Curves</h2>{}").format(Markup(fragment(view.charts))))
    if view.timeline:
        inside = Markup(fragment(view.timeline))
        parts.append(Markup("<h2>Pictures over time</h2>{}").format(inside))
    return Markup("").join(parts)


def _folder(name: str) -> Path:
    return Path(name).expanduser()
