"""What clients of the API send: JSON objects, and pictures that may stand in them as data."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

from textdiff.app.uploads import Uploads
from textdiff.errors import UsageError


async def json_object(request: Request) -> dict[str, Any]:
    """The body.

    Raises:
        HTTPException: it is not sent as JSON. UsageError: it is none, or no object.
    """
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise HTTPException(415, "give JSON, with Content-Type: application/json")
    try:
        values = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise UsageError("the body is no JSON") from None
    if not isinstance(values, dict):
        raise UsageError("the body must be a JSON object of settings")
    return values


def take_uploads(values: dict[str, Any], names: Sequence[str], uploads: Uploads) -> None:
    """Puts ids in place of pictures that stand in a request as data.

    Raises:
        UsageError: other data. BadImage: a picture that cannot be used.
    """
    for name in names:
        given = values.get(name)
        if isinstance(given, str) and given.startswith("data:"):
            values[name] = uploads.add(_data_of(name, given))


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
