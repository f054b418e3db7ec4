"""What can be asked of the page by raw requests: none reads a file outside what it was given."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from tests.helpers.ui import Served, served
from textdiff.app.page.routes import is_open

PLACES = (
    *("/gradio_api/file=", "/file=", "/gradio_api/file/", "/gradio_api/download/"),
    *("/gradio_api/stream/", "/gradio_api/media/", "/gradio_api/proxy=", "/gradio_api/proxy=file:"),
    *("/static/", "/assets/", "/svelte/", "/static/img/", "/custom_component/a/b/", "/"),
    *("/api/pictures/", "/api/indexes/0/", "/theme.css/", "/pwa_icon/"),
)


def spellings(secret: str) -> list[str]:
    """Ways to write the path of a file, absolute and from below."""
    up = "../" * 12 + secret.lstrip("/")
    return [
        secret,
        f"/{secret}",
        up,
        secret.replace("/", "%2f"),
        up.replace("/", "%2f"),
        up.replace("../", "%2e%2e/"),
        up.replace("../", "..%5c"),
        up.replace("../", "....//"),
        f"{secret}%00.png",
        f"file://{secret}",
    ]


@pytest.fixture(scope="module")
def server(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    (folder / "secret.txt").write_text("a secret")
    Image.new("RGB", (8, 8), (1, 2, 3)).save(folder / "secret.png")
    flags = ["--model", tiny_run, "--gallery", folder / "gallery"]
    with served(*flags, folder=folder) as one:
        (folder / "gallery").mkdir(exist_ok=True)
        link = folder / "gallery" / ("0" * 24 + ".png")
        link.symlink_to(folder / "secret.txt")
        yield one.ready(), folder


def get(server: Served, path: str, body: bytes = b"", method: str = "GET") -> tuple[int, bytes]:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return server.raw(head.encode() + b"\r\n" + body)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_no_spelling_of_a_path_reads_a_file(server, place):
    one, folder = server
    for path in [*spellings(str(folder / "secret.txt")), "secret.txt", "gallery/../secret.txt"]:
        status, answer = get(one, place + path)
        assert status >= 400, place + path
        assert b"a secret" not in answer, place + path


@pytest.mark.slow
def test_a_link_in_the_gallery_is_not_followed(server):
    one, _ = server
    status, answer = get(one, f"/api/pictures/{'0' * 24}.png")
    assert status == 404 and b"a secret" not in answer


@pytest.mark.slow
def test_the_path_of_a_file_in_an_event_is_not_read(server):
    """Gradio takes {path: ...} for a file wherever it stands; no part of the page may open it."""
    one, folder = server
    config = one.ask("GET", "/config")[1]
    kinds = {part["type"] for part in config["components"]}
    assert not kinds & {"file", "uploadbutton", "image", "gallery", "imageeditor", "downloadbutton"}
    for name in ("secret.txt", "secret.png"):
        fake = {
            "path": str(folder / name),
            "orig_name": name,
            "meta": {"_type": "gradio.FileData"},
        }
        for each in config["dependencies"]:
            if not each["backend_fn"]:  # a script, which runs in the browser
                continue
            asked = {
                "data": [fake] * len(each["inputs"]),
                "fn_index": each["id"],
                "session_hash": f"{name}{each['id']}",
                "event_data": {"id": fake, "key": fake, "request": fake},
            }
            status, answer = get(one, "/gradio_api/run/predict", json.dumps(asked).encode(), "POST")
            assert status == 404 or not each["queue"]
            assert b"a secret" not in answer and b"data:image" not in answer, each["api_name"]
    assert not list((folder / "gallery" / "uploads").glob("*"))


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/config", "/theme.css", "/assets/index-DphvyggB.js", "/static/img/logo.svg"),
        *("/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/heartbeat/4ja4x9k64x"),
        *("/gradio_api/run/predict", "/api/pictures/00.png", "/api/status"),
    ],
)
def test_what_the_page_asks_for_is_open(path):
    assert is_open(path)


@pytest.mark.parametrize(
    "path",
    [
        *("/gradio_api/file=/etc/passwd", "/file=/etc/passwd", "/assets/../x", "/assets/a%00"),
        *("/gradio_api/proxy=http://example.org", "/gradio_api/info", "/gradio_api/deep_link"),
        *("/gradio_api/upload", "/gradio_api/upload_progress", "/gradio_api/call/draw"),
        *("/monitoring", "/monitoring/summary", "/docs", "/openapi.json", "/gradio_api/dev/reload"),
        *("/gradio_api/component_server", "/gradio_api/vibe-code/", "/login", "/pwa_icon", "//"),
    ],
)
def test_everything_else_is_not(path):
    assert not is_open(path)
