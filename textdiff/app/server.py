"""The process that serves page and API, until a signal ends it.

socket bound ── engine ── routes behind the rules ── page ──► listening ── first model loads
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from textdiff.app import api
from textdiff.app.access import AccessRules
from textdiff.app.engine import Engine
from textdiff.app.guard import Guarded
from textdiff.app.settings import UiSettings
from textdiff.errors import UsageError
from textdiff.stopping import handled

PAGE = "textdiff.app.page"
SECONDS_TO_END = 3  # for connections that are open when the server ends
BACKLOG = 128


def serve(settings: UiSettings) -> None:
    """Serves until one of STOP_SIGNALS.

    Raises:
        UsageError: an address that cannot be listened at. CheckpointError: no model in a folder.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched, whatever an index names
    with listen(settings.host, settings.port) as listening:
        port = listening.getsockname()[1]
        rules = AccessRules.of(settings, port)
        server = Server(Engine(settings), rules)
        for line in greeting(settings, rules, port):
            print(line, file=sys.stderr, flush=True)
        server.run(sockets=[listening])
        server.engine.close()


def make_app(engine: Engine) -> FastAPI:
    """The API, and the page where there is one. No page of FastAPI's own, which fetches scripts."""
    app = FastAPI(title="textdiff", docs_url=None, redoc_url=None, openapi_url=None)
    api.install(app, engine)
    if importlib.util.find_spec(PAGE) is not None:
        importlib.import_module(PAGE).mount(app, engine)
    return app


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address, at which clients may already queue.

    Raises:
        UsageError: there is no such address, or another process has it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host}: {error.strerror or error}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"--port {port} is in use; give another, or 0 for any that is free"
            ) from None
        raise UsageError(f"--host {host} --port {port}: {error.strerror}") from None
    return bound


def greeting(settings: UiSettings, rules: AccessRules, port: int) -> list[str]:
    """Where the server is, and what to mind."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    query = "" if rules.token is None else f"?token={rules.token}"
    lines = [f"textdiff ui: http://{host}:{port}/{query} (Ctrl-C ends it)"]
    if not settings.is_local:
        lines.append(
            f"WARNING: --host {settings.host}: whoever reaches this machine and has the token can "
            "draw and see every picture in the gallery; the connection is not encrypted"
        )
    return lines


class Server(uvicorn.Server):
    """Page and API of an engine behind the rules.

    A signal ends the jobs, then the server, well: uvicorn alone waits for open answers first, and a
    drawing may take minutes.
    """

    def __init__(self, engine: Engine, rules: AccessRules) -> None:
        config = uvicorn.Config(
            Guarded(make_app(engine), rules),
            log_level="warning",
            access_log=False,  # addresses may hold the token
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=SECONDS_TO_END,
        )
        super().__init__(config)
        self.engine = engine

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.engine.start()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn listens to SIGINT and SIGTERM alone."""
        others = handled(lambda number: self.handle_exit(number, None), lambda: False)
        with others, super().capture_signals():
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit  # at the second signal
        self.should_exit = True
        threading.Thread(target=self.engine.close, daemon=True).start()
