"""Which of Gradio's routes are open: those that the page asks for, and no other.

Gradio has routes for files, uploads, proxies, shared links, monitoring and development besides. The
page needs none of them: pictures come from our own API, and go there.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

NAME = r"[A-Za-z0-9_-]+"
FILE = r"[A-Za-z0-9_./-]+"  # below a folder of Gradio's own, which checks that it stays there
OPEN = re.compile(
    rf"/|/config|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json"
    rf"|/(?:assets|static|svelte)/{FILE}"
    rf"|/api/.*"
    rf"|/gradio_api/(?:queue/join|queue/data|cancel|reset|startup-events)"
    rf"|/gradio_api/run/{NAME}"
    rf"|/gradio_api/heartbeat/{NAME}"
)


class OnlyKnownRoutes:
    """Answers 404 for every other path, without asking Gradio."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not is_open(scope["path"]):
            await JSONResponse({"error": "there is nothing here"}, 404)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def is_open(path: str) -> bool:
    """path: decoded."""
    return bool(OPEN.fullmatch(path)) and ".." not in path
