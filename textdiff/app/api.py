"""The JSON API: what the page does, for programs. docs/api.md has an example of each route.

    POST /api/generate ── DrawRequest ── Engine.draw ──► a line of JSON per event, or one answer

An error is {"error": words} with a status: 400 what was asked for, 404 what is not there, 413 too
large, 429 too many wait, 500 the server's own fault.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from typing import IO, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from textdiff.app.drawing import Drawn, Preview
from textdiff.app.engine import Engine
from textdiff.app.gallery import NoPictureError
from textdiff.app.jobs import Cancelled, Failed, QueueFullError, Ticket, Waiting
from textdiff.app.request import PICTURES, DrawRequest
from textdiff.errors import CheckpointError, TextdiffError, UsageError

SECONDS_BETWEEN_LOOKS = 0.5  # at whether a client that waits for its answer is still there
IN_MEMORY = 32 << 20  # bytes of an archive; a larger one is put together on disk
BLOCK = 1 << 20
NDJSON = "application/x-ndjson"


def install(app: FastAPI, engine: Engine) -> None:
    """Adds the routes, and errors in the same form, to `app`."""
    app.include_router(router(engine))
    app.add_exception_handler(TextdiffError, _known_error)
    app.add_exception_handler(HTTPException, _http_error)


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
            return StreamingResponse(lines, media_type=NDJSON)
        return await _waited_for(request, ticket, inline, engine)

    @routes.delete("/jobs/{job_id}")
    def cancel(job_id: str) -> Response:
        ticket = engine.jobs.find(job_id)
        if ticket is None:
            raise HTTPException(404, "no job that waits or runs has this id")
        ticket.cancel()
        return JSONResponse({"cancelled": job_id})

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
    def nothing(path: str) -> Response:
        raise HTTPException(404, "the API has no such route; docs/api.md lists them")

    return routes


def _submit(engine: Engine, values: dict[str, Any]) -> Ticket:
    """A request whose pictures may stand in it as data, which become uploads."""
    for name in PICTURES:
        given = values.get(name)
        if isinstance(given, str) and given.startswith("data:"):
            values[name] = engine.uploads.add(_data_of(name, given))
    return engine.draw(DrawRequest.of(values))


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
    any. Whoever stops iterating cancels the job."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    ticket.listen(lambda: _notify(loop, changed))
    try:
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
    finally:
        ticket.cancel()


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
            break
        if isinstance(event, Drawn):
            answer = JSONResponse(await run_in_threadpool(_drawn, event, inline, engine))
        elif isinstance(event, (Failed, Cancelled)):
            status, content = _ending(event)
            answer = JSONResponse(content, status)
    return answer


def _progress(event: Preview, previews: bool) -> dict[str, Any]:
    progress: dict[str, Any] = {"done": event.done, "total": event.total}
    if previews:
        progress |= {"first": event.first, "previews": [_png(each) for each in event.pictures]}
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


def _png(picture: Any) -> str:
    """In base64. picture: of PIL."""
    import io

    file = io.BytesIO()
    picture.save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


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


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
