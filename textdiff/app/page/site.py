"""The page as a whole: its tabs, its look, and how it is put on the server.

It asks for nothing that this server does not have: fonts are those of the system, scripts and
styles are Gradio's own files, and telemetry is off.
"""

from __future__ import annotations

import os
from importlib.resources import files

# read by Gradio as it is imported
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from fastapi import FastAPI

from textdiff.app.engine import Engine
from textdiff.app.page import compare, generate, run, search
from textdiff.app.page.form import QUICK
from textdiff.app.page.routes import OnlyKnownRoutes
from textdiff.app.page.search import SEARCHING
from textdiff.app.page.widgets import html
from textdiff.evaluation.report.page import fragment_style

SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
SYSTEM_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def mount(app: FastAPI, engine: Engine) -> None:
    """Serves the page at the root of `app`; routes that were added before stay as they are."""
    app.add_middleware(OnlyKnownRoutes)
    style = files(__package__).joinpath("style.css").read_text("utf-8")
    gr.mount_gradio_app(
        app,
        blocks(engine),
        path="/",
        theme=theme(),
        css=style + fragment_style(".run"),
        allowed_paths=[],
        show_error=False,
        footer_links=[],
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )


def blocks(engine: Engine) -> gr.Blocks:
    """The tabs."""
    with gr.Blocks(title="textdiff", analytics_enabled=False, fill_width=True) as page:
        html("<h1>textdiff</h1>")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Generate", id="generate"):
                drawing = generate.build(engine, page)
            with gr.Tab("Search", id="search"):
                found = search.build(engine)
            with gr.Tab("Compare", id="compare"):
                compare.build(engine, drawing.form)
            with gr.Tab("Run", id="run") as tab:
                run.build(engine, tab)
        drawing.to_search.click(lambda: gr.Tabs(selected="search"), None, tabs, **QUICK).then(
            found.search_for, [found.index, drawing.chosen], found.outputs, **SEARCHING
        )
    page.api_open = False  # what goes through the queue is not to be called past it
    return page


def theme() -> gr.themes.Base:
    """Plain, with the system's fonts, and quiet words that are dark enough to be read."""
    plain = gr.themes.Base(primary_hue="blue", font=SYSTEM_FONTS, font_mono=SYSTEM_MONO)
    return plain.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        block_info_text_color="*neutral_600",
    )
