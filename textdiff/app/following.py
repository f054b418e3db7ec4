"""A job followed by a client: line by line, or until its end. Who goes away cancels it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from textdiff.app.answers import Json, ending_of, pictures_of, progress_of
from textdiff.app.drawing import Drawn, Preview
from textdiff.app.gallery import Gallery
from textdiff.app.jobs import Cancelled, Failed, Ticket, Waiting

SECONDS_BETWEEN_LOOKS = 0.5  # at whether a client that waits for its answer is still there
NDJSON = "application/x-ndjson"


class TicketStream(StreamingResponse):
    """Lines of JSON about a job, which is cancelled when nobody reads them any more."""

    def __init__(self, ticket: Ticket, lines: AsyncIterator[str]) -> None:
        super().__init__(lines, media_type=NDJSON)
        self._ticket = ticket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ticket.cancel()


async def lines_of(
    ticket: Ticket, gallery: Gallery, *, previews: bool, inline: bool
) -> AsyncIterator[str]:
    """A line of JSON per event. previews, inline: with pictures under way, with PNGs."""
    yield _line({"job": ticket.id})
    async for event in _events(ticket):
        if isinstance(event, Waiting):
            yield _line({"waiting": event.position})
        elif isinstance(event, Preview):
            yield _line(await run_in_threadpool(progress_of, event, previews))
        elif isinstance(event, Drawn):
            yield _line(await run_in_threadpool(pictures_of, event, gallery, inline))
        elif isinstance(event, (Failed, Cancelled)):
            yield _line(ending_of(event)[1])


async def waited_for(
    ticket: Ticket, gallery: Gallery, request: Request, *, inline: bool
) -> Response:
    """One answer, at the end. inline: with PNGs."""
    answer: Response = Json({"error": "nothing was drawn"}, 500)
    async for event in _events(ticket):
        if await request.is_disconnected():
            ticket.cancel()
        if isinstance(event, Drawn):
            answer = Json(await run_in_threadpool(pictures_of, event, gallery, inline))
        elif isinstance(event, (Failed, Cancelled)):
            status, content = ending_of(event)
            answer = Json(content, status)
    return answer


async def _events(ticket: Ticket) -> AsyncIterator[object | None]:
    """Those of the ticket, without a thread that waits for them; None every half second without
    any."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    ticket.listen(lambda: _notify(loop, changed))
    while True:
        changed.clear()
        ended = ticket.ended  # looked at first: what came before it is polled now
        for event in ticket.poll():
            yield event
        if ended:
            return
        try:
            await asyncio.wait_for(changed.wait(), SECONDS_BETWEEN_LOOKS)
        except asyncio.TimeoutError:
            yield None


def _notify(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(changed.set)
    except RuntimeError:  # the server has ended, and its loop is closed
        return


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content) + "\n"
