"""Gradio components that the tabs share: HTML whose buttons can be clicked, a place for a file.

Files go to our own API and never through Gradio, whose events take a path for a file and do not
ask whether it was uploaded.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import gradio as gr

# One listener for all buttons inside, those that come later included.
TELL_CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-key]');
  if (button) trigger('click', {key: button.dataset.key});
});
"""
# The label is all of the zone; the input is there for the keyboard.
ZONE = """
<label class="zone"><span>${label}</span> <small>drop a file here, or choose one</small>
<input type="file" accept="image/*"></label>
<p class="notice error" role="alert"></p>
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


def drop_zone(label: str, name: str, address: str = "api/uploads") -> gr.HTML:
    """A place for a picture's file. Its event `upload` gives what the API at `address` answered.
    label: of the page's own, it is not escaped."""
    return gr.HTML(
        html_template=ZONE,
        label=label,
        apply_default_css=False,
        js_on_load=files(__package__).joinpath("dropzone.js").read_text("utf-8"),
        elem_id=name,
        address=address,
    )


def told(event: gr.EventData) -> dict[str, Any]:
    """What an event of the page's own scripts says; whoever sends a request can say anything."""
    return event._data if isinstance(event._data, dict) else {}


def text_of(event: gr.EventData, name: str) -> str:
    """A text in it; empty where there is none."""
    value = told(event).get(name, "")
    return value if isinstance(value, str) else ""
