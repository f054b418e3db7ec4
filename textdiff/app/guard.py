"""The rules put before an app, and headers of ours on all that it answers.

    request ── AccessRules ──► refused, or sent on without its token, or ──► app, its body counted

No header of cross-origin sharing leaves, so that no other page can read an answer, and the page is
told to fetch from this server alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from textdiff.app.access import AccessRules, Headers, Refusal, Scope, header

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# The page may fetch from this server alone; its scripts and styles stand in it.
HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'; "
        b"form-action 'self'; base-uri 'self'",
    ),
]

SECONDS_TO_READ_ON = 1.0
CLOSE = (b"connection", b"close")  # where the body, or the rest of it, is not read


class TooLargeError(HTTPException):
    """A body beyond its limit, met while the app reads it."""


class Guarded:
    """`app` behind the rules."""

    def __init__(self, app: App, rules: AccessRules) -> None:
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self.rules.refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self.app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.error})
            return
        if refusal is not None:
            await _answer(scope, send, refusal)
            return
        landing = self.rules.landing(scope)
        if landing is not None:
            await send({"type": "http.response.start", "status": 303, "headers": landing})
            await send({"type": "http.response.body"})
            return
        await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """With its body counted, and our headers on the answer in place of the app's own of the
        same purpose."""
        received, started = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.rules.body_bytes:
                if message.get("more_body"):
                    await _read_on(receive, self.rules.body_bytes)
                raise TooLargeError(self.rules.too_large.status, self.rules.too_large.error)
            return message

        async def sent(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*_without_sharing(message.get("headers", [])), *HEADERS]
                if received > self.rules.body_bytes:
                    message["headers"].append(CLOSE)
            await send(message)

        try:
            await self.app(scope, counted, sent)
        except TooLargeError:
            if started:
                raise
            await _answer(scope, send, self.rules.too_large)


async def _read_on(receive: Receive, most: int) -> None:
    """For a moment, to drop what comes: a connection that is closed with bytes unread is reset, and
    the answer is lost with it."""
    dropped = 0
    with contextlib.suppress(asyncio.TimeoutError):
        while dropped <= most:
            message = await asyncio.wait_for(receive(), SECONDS_TO_READ_ON)
            if not message.get("more_body"):
                return
            dropped += len(message.get("body", b""))


async def _answer(scope: Scope, send: Send, refusal: Refusal) -> None:
    shows_html = refusal.html is not None and "text/html" in (header(scope, b"accept") or "")
    if shows_html:
        kind, body = b"text/html; charset=utf-8", (refusal.html or "").encode()
    else:
        kind, body = b"application/json", json.dumps({"error": refusal.error}).encode()
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *HEADERS]
    headers.append(CLOSE)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _without_sharing(headers: Headers) -> Headers:
    ours = {key for key, _ in HEADERS}
    return [
        (key, value)
        for key, value in headers
        if key.lower() not in ours and not key.lower().startswith(b"access-control-")
    ]
