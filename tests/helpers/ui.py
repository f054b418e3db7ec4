"""A `textdiff ui` in a process of its own, and clients for it: one by HTTP, one by raw bytes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from tests.helpers.paths import ROOT
from textdiff.app.access import AccessRules
from textdiff.app.engine import Engine
from textdiff.app.server import Server, listen
from textdiff.app.settings import UiSettings

ADDRESS = re.compile(r"textdiff ui: http://(\[[^]]+\]|[^:/]+):(\d+)/(?:\?token=(\S+))?")
SECONDS = 300  # on a machine that does much else


@dataclass
class Served:
    """A server that listens at 127.0.0.1:`port`. log: what it prints."""

    process: subprocess.Popen
    port: int
    token: str | None
    log: Path

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def open(self, method: str, path: str, body: Any = None, headers: dict | None = None):
        """An answer that is not read yet, and its connection. body: bytes, or what becomes JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        connection.request(method, path, body, headers)
        return connection.getresponse(), connection

    def ask(self, method: str, path: str, body: Any = None, headers: dict | None = None):
        """(status, content): JSON as what it says, else bytes."""
        response, connection = self.open(method, path, body, headers)
        with connection_closed(connection):
            return response.status, content_of(response)

    def raw(self, request: bytes) -> tuple[int, bytes]:
        """(status, all that came back) for exactly these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as connection:
            connection.sendall(request)
            answer = b""
            while block := connection.recv(65536):
                answer += block
        return int(answer.split(b" ", 2)[1]), answer

    def ready(self) -> Served:
        """Itself, once the first model is loaded and nothing is under way."""
        end = time.monotonic() + SECONDS
        while self.ask("GET", "/api/status")[1]["jobs"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        return self

    def end(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """The exit code after this signal."""
        self.process.send_signal(sign)
        return self.process.wait(SECONDS)


@contextmanager
def served_here(settings: UiSettings) -> Iterator[str]:
    """The same in a thread of this process, quicker to start; gives its address."""
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        server = Server(Engine(settings), AccessRules.of(settings, port))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.engine.close()
            server.should_exit = True
            thread.join(SECONDS)


@contextmanager
def connection_closed(connection: HTTPConnection) -> Iterator[None]:
    try:
        yield
    finally:
        connection.close()


def content_of(response: HTTPResponse) -> Any:
    data = response.read()
    kind = response.headers.get("Content-Type", "")
    return json.loads(data) if kind.startswith("application/json") else data


@contextmanager
def served(*flags: str | Path, folder: Path) -> Iterator[Served]:
    """`textdiff ui FLAGS` at any free port, its output in `folder`."""
    log = folder / "server.log"  # a pipe that nobody reads would fill, and the server wait
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "textdiff", "ui", "--port", "0", *map(str, flags)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, stdout=file, stderr=subprocess.STDOUT, env=environment
        )
    try:
        while not (match := ADDRESS.search(log.read_text(errors="replace"))):
            assert process.poll() is None, log.read_text(errors="replace")
            time.sleep(0.05)
        yield Served(process, int(match[2]), match[3], log)
    finally:
        process.kill()
        process.wait()
