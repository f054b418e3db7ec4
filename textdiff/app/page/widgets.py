"""Gradio components that the tabs share: HTML whose buttons can be clicked, a place for a file."""

from __future__ import annotations

from typing import Any

import gradio as gr

# One listener for all buttons inside, those that come later included.
TELL_CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-key]');
  if (button) trigger('click', {key: button.dataset.key});
});
"""


def html(value: str = "", name: str = "", **options: Any) -> gr.HTML:
    """The page's own markup. name: its id, for style and tests."""
    return gr.HTML(
        value,
        elem_id=name or None,
        apply_default_css=False,
        js_on_load=TELL_CLICKS,
        **options,
    )


def clicked(event: gr.EventData) -> str:
    """The key of the button that was clicked; whoever sends a request can tell any text."""
    key = event._data.get("key", "") if isinstance(event._data, dict) else ""
    return key if isinstance(key, str) else ""


def picture_file(label: str, name: str) -> gr.File:
    """A place to drop a picture at, or to choose one; its bytes arrive as they are."""
    return gr.File(
        label=label,
        file_count="single",
        file_types=["image"],
        type="binary",
        height=120,
        elem_id=name,
    )
