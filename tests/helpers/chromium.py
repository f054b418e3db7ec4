"""A page as a headless Chromium lays it out, at the width of a phone or of a screen.

The page is opened from disk in a frame of that width, which is its viewport: a window of its own
would not become narrower than 500 pixels. Nothing but a browser is needed; where there is none,
tests say so and are skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

VARIABLE = "TEXTDIFF_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FRAME = """<!doctype html><meta charset="utf-8"><title>frame</title>
<iframe id="page" style="border:0;width:{width}px;height:{height}px"></iframe><pre id="out"></pre>
<script>
const page = document.getElementById("page");
page.onload = () => {{
  const inner = page.contentWindow, root = inner.document.documentElement;
  const images = [...inner.document.images], all = [...inner.document.body.querySelectorAll("*")];
  const wide = all.filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1
    && !e.closest(".scroll, pre"));
  document.getElementById("out").textContent = JSON.stringify({{
    width: root.clientWidth,
    scrollWidth: Math.max(root.scrollWidth, inner.document.body.scrollWidth),
    height: root.scrollHeight,
    images: images.length,
    broken: images.filter((image) => !image.complete || !image.naturalWidth).length,
    tooWide: wide.map((e) => e.tagName + "." + e.className),
    small: all.filter((e) => e.children.length === 0 && e.textContent.trim()
      && parseFloat(inner.getComputedStyle(e).fontSize) < 11).map((e) => e.textContent),
    fetched: inner.performance.getEntriesByType("resource").map((e) => e.name)
      .filter((name) => !name.startsWith("data:")),
  }});
}};
page.src = "{url}";
</script>"""


def find_chromium() -> str | None:
    """What $TEXTDIFF_CHROMIUM names, else a Chromium or Chrome on the path."""
    named = os.environ.get(VARIABLE)
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


def laid_out(browser: str, page: Path, width: int, height: int, folder: Path) -> dict[str, Any]:
    """What the frame measures, see `FRAME`.

    Args:
        folder: for the frame and the browser's own files.
    """
    frame = folder / f"frame-{width}.html"
    frame.write_text(FRAME.format(width=width, height=height, url=page.resolve().as_uri()))
    shown = run_browser(browser, folder, "--dump-dom", frame.as_uri())
    written = re.search(r'<pre id="out">(.+?)</pre>', shown)
    assert written, f"the page did not load: {shown[-500:]}"
    return json.loads(unescape(written[1]))


def run_browser(browser: str, folder: Path, *arguments: str) -> str:
    """Its stdout, once all has loaded."""
    command = [
        *(browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--allow-file-access-from-files", "--disable-background-networking", "--no-first-run"),
        *("--disable-component-update", "--disable-dev-shm-usage", "--virtual-time-budget=10000"),
        *(f"--user-data-dir={folder / 'browser'}", *arguments),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    return done.stdout
