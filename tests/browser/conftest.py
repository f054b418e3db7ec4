"""A server with a small model, a small index and a run; a browser; windows on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browser import Visit, chromium
from tests.helpers.ui import Served, served
from tests.helpers.workers import prepared_once
from textdiff.commands.cli import run

# trained until it knows its pictures by heart
EMOJI_CLIP = """
clip:
  image: {image_size: 32, patch_size: 8, width: 64, heads: 2, layers: 2}
  text: {context_length: 16, width: 64, heads: 2, layers: 2}
  embed_dim: 64
max_shift: 0
train: {steps: 150, batch_size: 32, warmup_steps: 10, lr: 2.0e-3, log_every: 50, precision: "no"}
data: {source: openmoji, image_size: 32, max_images: 60}
"""


@pytest.fixture(scope="session")
def emoji_clip(tmp_path_factory, configs) -> Path:
    config = configs / "emoji_clip.yaml"
    config.write_text(EMOJI_CLIP)
    return prepared_once(
        tmp_path_factory,
        "emoji clip",
        lambda folder: run(["train-clip", "--config", str(config), "--run-dir", str(folder)]),
    )


@pytest.fixture(scope="session")
def emoji_index(tmp_path_factory, emoji_clip) -> Path:
    data = ["--config", str(emoji_clip / "config.yaml")]
    return prepared_once(
        tmp_path_factory,
        "emoji index",
        lambda folder: run(
            ["index", "build", *data, "--clip", str(emoji_clip), "--out", str(folder)]
        ),
    )


@pytest.fixture(scope="session")
def browser_there() -> None:
    """Before anything is trained for it."""
    with chromium():
        pass


@pytest.fixture(scope="session")
def server(browser_there, tmp_path_factory, tiny_run, tiny_clip, emoji_clip, emoji_index):
    """Of this worker."""
    folder = tmp_path_factory.mktemp("ui")
    flags = ["--model", tiny_run, "--judge", tiny_clip, "--run", emoji_clip, "--index", emoji_index]
    with served(*flags, "--gallery", folder / "gallery", folder=folder) as one:
        yield one.ready()


@pytest.fixture(scope="module")
def browser(browser_there) -> Iterator[Any]:
    """For a module: its loop would be in the way of tests that run one."""
    with chromium() as one:
        yield one


@pytest.fixture
def visit(browser, server: Served) -> Iterator[Callable[..., Visit]]:
    """Opens windows; at the end, none may have had errors or asked anybody else for anything."""
    windows: list[Visit] = []
    address = f"http://127.0.0.1:{server.port}/"

    def open_window(**options: Any) -> Visit:
        windows.append(Visit.of(browser, address, **options))
        return windows[-1]

    yield open_window
    for one in windows:
        one.window.close()
    assert [fault for one in windows for fault in one.faults] == []
    ours = (address, "data:", "blob:")
    assert [url for one in windows for url in one.asked if not url.startswith(ours)] == []


@pytest.fixture
def page(visit) -> Visit:
    """A window as wide as a screen."""
    return visit()
