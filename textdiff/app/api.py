"""The JSON API: what the page does, for programs. docs/api.md has an example of each route.

    POST /api/generate ── DrawRequest ── Engine.draw ──► a line of JSON per event, or one answer

An error is {"error": words} with a status: 400 what was asked for, 404 what is not there, 413 too
large, 429 too many wait, 500 the server's own fault.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from typing import IO, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from textdiff.app.answers import Json, address, answer_errors, found_of, png
from textdiff.app.bodies import json_object, take_uploads
from textdiff.app.engine import Engine
from textdiff.app.following import TicketStream, lines_of, waited_for
from textdiff.app.jobs import Ticket
from textdiff.app.request import PICTURES, DrawRequest
from textdiff.app.search import SearchRequest

IN_MEMORY = 32 << 20  # bytes of an archive; a larger one is put together on disk
BLOCK = 1 << 20


def install(app: FastAPI, engine: Engine) -> None:
    """Adds the routes, and errors in the same form, to `app`."""
    app.include_router(router(engine))
    answer_errors(app)


def router(engine: Engine) -> APIRouter:
    """The routes under /api."""
    routes = APIRouter(prefix="/api")

    @routes.get("/status")
    def status() -> Response:
        from textdiff import __version__

        return Json(
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
        return Json([asdict(state) for state in engine.models.states()])

    @routes.post("/generate")
    async def generate(
        request: Request, stream: bool = False, previews: bool = False, inline: bool = False
    ) -> Response:
        values = await json_object(request)
        ticket = await run_in_threadpool(_submit, engine, values)
        if stream:
            lines = lines_of(ticket, engine.gallery, previews=previews, inline=inline)
            return TicketStream(ticket, lines)
        return await waited_for(ticket, engine.gallery, request, inline=inline)

    @routes.delete("/jobs/{job_id}")
    def cancel(job_id: str) -> Response:
        ticket = engine.jobs.find(job_id)
        if ticket is None:
            raise HTTPException(404, "no job that waits or runs has this id")
        ticket.cancel()
        return Json({"cancelled": job_id})

    @routes.post("/search")
    async def search(request: Request) -> Response:
        values = await json_object(request)
        return Json(await run_in_threadpool(_search, engine, values))

    @routes.get("/indexes/{number}/{row}.png")
    def indexed(number: int, row: int) -> Response:
        names = engine.indexes.names()
        if not 0 <= number < len(names):
            raise HTTPException(404, "no index has this number")
        return Response(png(engine.indexed_picture(names[number], row)), media_type="image/png")

    @routes.post("/uploads")
    async def upload(request: Request) -> Response:
        data = await request.body()
        return Json({"id": await run_in_threadpool(engine.uploads.add, data)})

    @routes.post("/settings")
    async def settings(request: Request) -> Response:
        recalled = await run_in_threadpool(engine.recall, await request.body())
        values = recalled.request.model_dump(mode="json", exclude_defaults=True)
        return Json({"request": values, "left_out": recalled.left_out})

    @routes.get("/pictures")
    def pictures() -> Response:
        ids = engine.gallery.list()
        return Json({"pictures": [{"id": each, "url": address(each)} for each in ids]})

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
        return Json({"deleted": picture_id})

    @routes.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
    def nothing(request: Request) -> Response:
        """What no other route answers, so that it does not reach the page's."""
        raise HTTPException(404, f"the API has no such route for {request.method}; see docs/api.md")

    return routes


def _submit(engine: Engine, values: dict[str, Any]) -> Ticket:
    take_uploads(values, PICTURES, engine.uploads)
    return engine.draw(DrawRequest.of(values))


def _search(engine: Engine, values: dict[str, Any]) -> dict[str, Any]:
    """Without an index in `values`, the first is searched."""
    names = engine.indexes.names()
    if "index" not in values and names:
        values["index"] = names[0]
    take_uploads(values, ("picture",), engine.uploads)
    request = SearchRequest.of(values)
    return found_of(engine.search(request), request.index, names.index(request.index))


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while block := file.read(BLOCK):
            yield block
