"""The JSON API: what the page does, for programs. docs/api.md has an example of each route.

    POST /api/generate ── DrawRequest ── Engine.draw ──► a line of JSON per event, or one answer

An error is {"error": words} with a status: 400 what was asked for, 404 what is not there, 413 too
large, 429 too many wait, 500 the server's own fault.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from textdiff.app.drawing import Drawn, Preview
from textdiff.app.engine import Engine
from textdiff.app.gallery import NoPictureError
from textdiff.app.jobs import BUG, Cancelled, Failed, QueueFullError, Ticket, Waiting
from textdiff.app.request import PICTURES, DrawRequest
from textdiff.app.search import SearchRequest
from textdiff.errors import CheckpointError, TextdiffError, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

SECONDS_BETWEEN_LOOKS = 0.5  # at whether a client that waits for its answer is still there
IN_MEMORY = 32 << 20  # bytes of an archive; a larger one is put together on disk
BLOCK = 1 << 20
NDJSON = "application/x-ndjson"


def install(app: FastAPI, engine: Engine) -> None:
    """Adds the routes, and errors in the same form, to `app`."""
    app.include_router(router(engine))
    app.add_exception_handler(TextdiffError, _known_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _fault)


def router(engine: Engine) -> APIRouter:
    """The routes under /api."""
    routes = APIRouter(prefix="/api")

    @routes.get("/status")
    def status() -> Response:
        from textdiff import __version__

        return JSONResponse(
            {
                "version": __version__,
                "models": [asdict(state) for state in engine.models.states()],
                "clips": engine.clips.names(),
                "indexes": engine.indexes.names(),
                "jobs": engine.jobs.length,
                "limits": engine.limits.model_dump(),
            }
        )

    @routes.get("/models")
    def models() -> Response:
        return JSONResponse([asdict(state) for state in engine.models.states()])

    @routes.post("/generate")
    async def generate(
        request: Request, stream: bool = False, previews: bool = False, inline: bool = False
    ) -> Response:
        values = await _json_object(request)
        ticket = await run_in_threadpool(_submit, engine, values)
        if stream:
            lines = _lines(ticket, previews=previews, inline=inline, engine=engine)
            return TicketStream(ticket, lines)
        return await _waited_for(request, ticket, inline, engine)

    @routes.delete("/jobs/{job_id}")
    def cancel(job_id: str) -> Response:
        ticket = engine.jobs.find(job_id)
        if ticket is None:
            raise HTTPException(404, "no job that waits or runs has this id")
        ticket.cancel()
        return JSONResponse({"cancelled": job_id})

    @routes.post("/search")
    async def search(request: Request) -> Response:
        values = await _json_object(request)
        return JSONResponse(await run_in_threadpool(_search, engine, values))

    @routes.get("/indexes/{number}/{row}.png")
    def indexed(number: int, row: int) -> Response:
        names = engine.indexes.names()
        if not 0 <= number < len(names):
            raise HTTPException(404, "no index has this number")
        return Response(_png(engine.indexed_picture(names[number], row)), media_type="image/png")

    @routes.post("/uploads")
    async def upload(request: Request) -> Response:
        data = await request.body()
        return JSONResponse({"id": await run_in_threadpool(engine.uploads.add, data)})

    @routes.post("/settings")
    async def settings(request: Request) -> Response:
        recalled = await run_in_threadpool(engine.recall, await request.body())
        values = recalled.request.model_dump(mode="json", exclude_defaults=True)
        return JSONResponse({"request": values, "left_out": recalled.left_out})

    @routes.get("/pictures")
    def pictures() -> Response:
        ids = engine.gallery.list()
        return JSONResponse({"pictures": [{"id": each, "url": _url(each)} for each in ids]})

    @routes.get("/pictures.zip")
    def archive(request: Request) -> Response:
        ids = request.query_params.getlist("id") or None
        file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115, closed by `_blocks`
        engine.gallery.write_zip(file, ids)
        headers = {"Content-Disposition": 'attachment; filename="pictures.zip"'}
        return StreamingResponse(_blocks(file), media_type="application/zip", headers=headers)

    @routes.get("/pictures/{picture_id}.png")
    def picture(picture_id: str) -> Response:
        return Response(engine.gallery.png(picture_id), media_type="image/png")

    @routes.delete("/pictures/{picture_id}")
    def delete(picture_id: str) -> Response:
        engine.gallery.delete(picture_id)
        return JSONResponse({"deleted": picture_id})

    @routes.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
    def nothing(request: Request) -> Response:
        """What no other route answers, so that it does not reach the page's."""
        raise HTTPException(404, f"the API has no such route for {request.method}; see docs/api.md")

    return routes


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


def _submit(engine: Engine, values: dict[str, Any]) -> Ticket:
    _take_uploads(engine, values, PICTURES)
    return engine.draw(DrawRequest.of(values))


def _take_uploads(engine: Engine, values: dict[str, Any], names: Sequence[str]) -> None:
    """Puts ids in place of pictures that stand in a request as data."""
    for name in names:
        given = values.get(name)
        if isinstance(given, str) and given.startswith("data:"):
            values[name] = engine.uploads.add(_data_of(name, given))


def _search(engine: Engine, values: dict[str, Any]) -> dict[str, Any]:
    """What is found, as JSON. Without an index in `values`, the first is searched."""
    names = engine.indexes.names()
    if "index" not in values and names:
        values["index"] = names[0]
    _take_uploads(engine, values, ("picture",))
    request = SearchRequest.of(values)
    found = engine.search(request)
    number = names.index(request.index)
    matches = len(found.matches)
    return {
        "index": request.index,
        "seconds": round(found.seconds, 4),
        "threshold": found.threshold,
        "nothing_matches": found.nothing_matches,
        "hits": [
            {**asdict(hit), "matches": k < matches, "url": f"/api/indexes/{number}/{hit.row}.png"}
            for k, hit in enumerate(found.hits)
        ],
    }


def _data_of(name: str, url: str) -> bytes:
    """Of `data:image/png;base64,...`."""
    head, _, text = url.partition(",")
    try:
        if not head.endswith(";base64"):
            raise ValueError
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise UsageError(
            f"{name}: give an id of POST /api/uploads, or data:image/png;base64,..."
        ) from None


async def _json_object(request: Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise HTTPException(415, "give JSON, with Content-Type: application/json")
    try:
        values = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise UsageError("the body is no JSON") from None
    if not isinstance(values, dict):
        raise UsageError("the body must be a JSON object of settings")
    return values


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


async def _lines(
    ticket: Ticket, *, previews: bool, inline: bool, engine: Engine
) -> AsyncIterator[str]:
    yield _line({"job": ticket.id})
    async for event in _events(ticket):
        if isinstance(event, Waiting):
            yield _line({"waiting": event.position})
        elif isinstance(event, Preview):
            yield _line(await run_in_threadpool(_progress, event, previews))
        elif isinstance(event, Drawn):
            yield _line(await run_in_threadpool(_drawn, event, inline, engine))
        elif isinstance(event, (Failed, Cancelled)):
            yield _line(_ending(event)[1])


async def _waited_for(request: Request, ticket: Ticket, inline: bool, engine: Engine) -> Response:
    answer: Response = JSONResponse({"error": "nothing was drawn"}, 500)
    async for event in _events(ticket):
        if event is None and await request.is_disconnected():
            ticket.cancel()
        if isinstance(event, Drawn):
            answer = JSONResponse(await run_in_threadpool(_drawn, event, inline, engine))
        elif isinstance(event, (Failed, Cancelled)):
            status, content = _ending(event)
            answer = JSONResponse(content, status)
    return answer


def _progress(event: Preview, previews: bool) -> dict[str, Any]:
    progress: dict[str, Any] = {"done": event.done, "total": event.total}
    if previews:
        pngs = [base64.b64encode(_png(each)).decode() for each in event.pictures]
        progress |= {"first": event.first, "previews": pngs}
    return progress


def _drawn(event: Drawn, inline: bool, engine: Engine) -> dict[str, Any]:
    pictures = []
    for picture_id, origin in zip(event.ids, event.origins, strict=True):
        entry = {"id": picture_id, "url": _url(picture_id), "settings": origin.to_json()}
        if inline:
            entry["png"] = base64.b64encode(engine.gallery.png(picture_id)).decode()
        pictures.append(entry)
    return {"seconds": round(event.seconds, 3), "pictures": pictures}


def _ending(event: Failed | Cancelled) -> tuple[int, dict[str, Any]]:
    """A status and its words."""
    if isinstance(event, Cancelled):
        return 409, {"error": "the job was cancelled"}
    return 500 if event.by_server else 400, {"error": event.error}


def _png(picture: Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content) + "\n"


def _url(picture_id: str) -> str:
    return f"/api/pictures/{picture_id}.png"


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while block := file.read(BLOCK):
            yield block


def _known_error(request: Request, error: Exception) -> Response:
    statuses = {NoPictureError: 404, QueueFullError: 429, CheckpointError: 500}
    status = next((each for kind, each in statuses.items() if isinstance(error, kind)), 400)
    return JSONResponse({"error": " ".join(str(error).split())}, status)


def _invalid(request: Request, error: Exception) -> Response:
    """Of a value in the address."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}"}, 400)


def _fault(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": BUG}, 500)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
