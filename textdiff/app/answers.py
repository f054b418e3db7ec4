"""What the API answers: events, results and errors as JSON.

Preview ──► {"done": 5, "total": 25}    Drawn ──► {"seconds": 1.2, "pictures": [...]}
Found ──► {"hits": [...]}               an error ──► {"error": "words"} and a status
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from textdiff.app.drawing import Drawn, Preview
from textdiff.app.gallery import Gallery, NoPictureError
from textdiff.app.jobs import BUG, Cancelled, Failed, QueueFullError
from textdiff.errors import CheckpointError, TextdiffError

if TYPE_CHECKING:
    from PIL.Image import Image

    from textdiff.retrieval import Found


class Json(JSONResponse):
    """In ASCII: what a client sent and an error repeats may be no text that UTF-8 can hold."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode()


def answer_errors(app: FastAPI) -> None:
    """Has every error answered in the same form."""
    app.add_exception_handler(TextdiffError, _known_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _fault)


def address(picture_id: str) -> str:
    """Of a picture in the gallery, on this server."""
    return f"/api/pictures/{picture_id}.png"


def progress_of(event: Preview, previews: bool) -> dict[str, Any]:
    """previews: with the pictures."""
    progress: dict[str, Any] = {"done": event.done, "total": event.total}
    if previews:
        pngs = [base64.b64encode(png(each)).decode() for each in event.pictures]
        progress |= {"first": event.first, "previews": pngs}
    return progress


def pictures_of(event: Drawn, gallery: Gallery, inline: bool) -> dict[str, Any]:
    """inline: with their PNGs."""
    pictures = []
    for picture_id, origin in zip(event.ids, event.origins, strict=True):
        entry = {"id": picture_id, "url": address(picture_id), "settings": origin.to_json()}
        if inline:
            entry["png"] = base64.b64encode(gallery.png(picture_id)).decode()
        pictures.append(entry)
    return {"seconds": round(event.seconds, 3), "pictures": pictures}


def ending_of(event: Failed | Cancelled) -> tuple[int, dict[str, Any]]:
    """A status and its words."""
    if isinstance(event, Cancelled):
        return 409, {"error": "the job was cancelled"}
    return 500 if event.by_server else 400, {"error": event.error}


def png(picture: Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def found_of(found: Found, index: str, number: int) -> dict[str, Any]:
    """Of a search of this index, the server's `number`-th."""
    matches = {hit.row for hit in found.matches}
    return {
        "index": index,
        "seconds": round(found.seconds, 4),
        "threshold": found.threshold,
        "nothing_matches": found.nothing_matches,
        "hits": [
            {
                **asdict(hit),
                "matches": hit.row in matches,
                "url": f"/api/indexes/{number}/{hit.row}.png",
            }
            for hit in found.hits
        ],
    }


def _known_error(request: Request, error: Exception) -> Response:
    statuses = {NoPictureError: 404, QueueFullError: 429, CheckpointError: 500}
    status = next((each for kind, each in statuses.items() if isinstance(error, kind)), 400)
    return Json({"error": " ".join(str(error).split())}, status)


def _invalid(request: Request, error: Exception) -> Response:
    """Of a value in the address."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return Json({"error": f"{first['loc'][-1]}: {first['msg']}"}, 400)


def _fault(request: Request, error: Exception) -> Response:
    return Json({"error": BUG}, 500)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Json({"error": error.detail}, error.status_code, error.headers)
