"""`textdiff ui` in a process of its own, asked by sockets: paths, strangers, two clients, ends."""

from __future__ import annotations

import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.helpers.ui import connection_closed, served

pytestmark = pytest.mark.slow

SECRET = b"a secret that nobody may read"
LONG = {"num_steps": 100, "num_images": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the server stands: a secret beside its gallery, and links to it inside."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "secret.png").write_bytes(SECRET)
    gallery = folder / "gallery"
    (gallery / "uploads").mkdir(parents=True)
    for name in ("0" * 24, "uploads/" + "0" * 64):
        (gallery / f"{name}.png").symlink_to(folder / "secret.png")
    return folder


@pytest.fixture(scope="module")
def server(tiny_run, folder):
    flags = ["--limits.queue", "2", "--limits.upload-bytes", "100000"]
    with served("--model", tiny_run, *flags, folder=folder) as server:
        yield server.ready()


@pytest.fixture(scope="module")
def usual(tiny_run):
    return {"model": str(tiny_run), "prompt": ["red circle"], "num_steps": 3}


def get(path: str, host: str = "127.0.0.1") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1")


SLASHES = ["/", "%2f", "%2F", "\\", "%5c", "%252f", "//"]
PATHS = [
    *(f"/api/pictures/..{slash}..{slash}secret.png" for slash in SLASHES),
    *(f"/api/pictures/%2e%2e{slash}secret.png" for slash in SLASHES),
    *("/../secret.png", "/..%2fsecret.png", "//secret.png", "/%2e%2e/secret.png", "/secret.png"),
    *("/api/../../secret.png", "/api/pictures/../../secret.png", "/api/pictures//secret.png"),
    "/api/pictures/" + "0" * 24 + ".png",  # a link to the secret
    "/api/pictures/uploads%2f" + "0" * 64 + ".png",
    *("/api/pictures/secret%00.png", "/api/pictures/%00", "/api/pictures/secret.png%00.png"),
    *("/api/pictures.zip?id=../secret", "/api/pictures.zip?id=..%2fsecret"),
    "/api/pictures.zip?id=" + "0" * 24,
    *("/gallery/secret.png", "/file=secret.png", "/file/secret.png", "/static/../secret.png"),
    "file:///etc/passwd",
    "http://127.0.0.1/secret.png",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("absolute", [False, True])
def test_no_path_is_ever_opened(server, folder, path, absolute):
    if absolute:
        path = path.replace("secret", str(folder / "secret").lstrip("/"))
    status, answer = server.raw(get(path))
    assert status in (400, 404), answer
    assert SECRET not in answer


@pytest.mark.parametrize("name", ["init_image", "mask", "clip_image", "model", "clip_guide"])
@pytest.mark.parametrize("given", ["secret.png", "../secret.png", "/etc/passwd", "0" * 64, "\0"])
def test_no_path_in_a_request_is_opened(server, usual, name, given):
    status, answer = server.ask("POST", "/api/generate", {**usual, name: given})
    assert status in (400, 404)
    assert "has the id" in answer["error"] or "that this server has" in answer["error"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/api/status", host="evil.example"),
        b"GET /api/status HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /api/status HTTP/1.0\r\n\r\n",
        b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n"
        b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_strangers(server, request_bytes):
    status, answer = server.raw(request_bytes)
    assert status in (400, 403)
    assert b"limits" not in answer


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server):
    head = b"POST /api/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n"
    assert server.raw(head)[0] == 413


def test_a_body_that_grows_too_large_is_refused_while_it_is_sent(server):
    head = b"POST /api/uploads HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    status, answer = server.raw(head + 2 * chunk)
    assert status == 413
    assert b"the most here" in answer


def test_nothing_that_is_no_http_ends_the_server(server):
    for junk in (b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\r\n\r\n"):
        assert server.raw(junk)[0] in (400, 403)
    assert server.ask("GET", "/api/status")[0] == 200


def test_two_clients_at_once(server, usual):
    """Both get their own pictures; the later one is told that it waits."""

    def lines(seed: int) -> list[dict]:
        body = {**usual, "seed": seed, "num_steps": 60}
        _, text = server.ask("POST", "/api/generate?stream=true", body)
        return [json.loads(line) for line in text.splitlines()]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lines, (1, 2)))
    for seed, answer in enumerate(answers, 1):
        (picture,) = answer[-1]["pictures"]
        assert picture["settings"]["seed"] == seed
    assert sum(any("waiting" in line for line in answer) for answer in answers) == 1


def test_a_client_that_goes_away_frees_the_worker(server, usual):
    for path in ("/api/generate?stream=true", "/api/generate"):
        body = json.dumps({**usual, **LONG}).encode()
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        wait_for(server, jobs=1)
        connection.close()
        wait_for(server, jobs=0)
    _, pictures = server.ask("GET", "/api/pictures")
    assert len(pictures["pictures"]) < 16


def wait_for(server, jobs: int, seconds: float = 120) -> None:
    """Until the server has so many jobs."""
    end = time.monotonic() + seconds
    while server.ask("GET", "/api/status")[1]["jobs"] != jobs:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_listens_before_its_model_is_loaded_and_a_signal_ends_it_in_a_drawing(
    tiny_run, usual, tmp_path
):
    with served("--model", tiny_run, folder=tmp_path) as server:
        assert server.ask("GET", "/api/models")[1][0]["state"] in ("waiting", "loading")
        assert server.ready().ask("GET", "/api/models")[1][0]["state"] == "ready"
        response, connection = server.open("POST", "/api/generate?stream=true", {**usual, **LONG})
        with connection_closed(connection):
            assert b"job" in response.readline()
            assert server.end(signal.SIGTERM) == 0
            last = json.loads(response.read().splitlines()[-1])
        assert last == {"error": "the job was cancelled"}
        assert "Traceback" not in server.said


def test_any_address_takes_a_token(tiny_run, tmp_path):
    """Of a run that is only looked at, so that no model is loaded."""
    with served("--run", tiny_run, "--host", "0.0.0.0", folder=tmp_path) as server:
        assert len(server.token) >= 32
        for headers, status in (
            ({}, 401),
            ({"Authorization": f"Bearer {server.token[:-1]}"}, 401),
            ({"Authorization": f"Bearer {server.token}"}, 200),
        ):
            assert server.ask("GET", "/api/status", headers=headers)[0] == status
        assert "\nWARNING: --host 0.0.0.0: whoever" in server.said
        assert server.end(signal.SIGUSR1) == 0  # uvicorn knows it not
