"""The routes, in this process: what they answer, and with which status."""

from __future__ import annotations

import base64
import io
import json
import zipfile

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from textdiff.app import api
from textdiff.app.engine import Engine
from textdiff.app.settings import UiSettings


@pytest.fixture(scope="module")
def engine(tiny_run, tmp_path_factory):
    flags = {"model": [str(tiny_run)], "limits": {"images": 4, "queue": 1}}
    engine = Engine(UiSettings(**flags, gallery=str(tmp_path_factory.mktemp("gallery"))))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def client(engine):
    app = FastAPI()
    api.install(app, engine)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def usual(tiny_run):
    return {"model": str(tiny_run), "prompt": ["red circle"], "num_steps": 3}


@pytest.fixture(scope="module")
def drawn(client, usual):
    """The answer to a request of two pictures."""
    return client.post("/api/generate?inline=true", json={**usual, "num_images": 2}).json()


def png(colour: str = "green") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(file, format="PNG")
    return file.getvalue()


def test_status_and_models(client, engine, tiny_run):
    status = client.get("/api/status").json()
    (model,) = client.get("/api/models").json()
    assert model["name"] == str(tiny_run)
    assert model["steps"] == [6, 4]
    assert status["limits"] == engine.limits.model_dump()
    assert [each["name"] for each in status["models"]] == [str(tiny_run)]


def test_pictures_come_with_their_settings(client, engine, drawn):
    assert [each["settings"]["index"] for each in drawn["pictures"]] == [0, 1]
    assert drawn["seconds"] > 0
    for each in drawn["pictures"]:
        file = client.get(each["url"])
        assert file.headers["content-type"] == "image/png"
        assert file.content == base64.b64decode(each["png"]) == engine.gallery.png(each["id"])
        with Image.open(io.BytesIO(file.content)) as picture:
            assert json.loads(picture.text["textdiff"]) == each["settings"]


def test_pictures_are_left_out_unless_asked_for(client, usual):
    answer = client.post("/api/generate", json=usual).json()
    assert "png" not in answer["pictures"][0]


def test_a_stream_tells_of_the_way(client, usual):
    flags = {"stream": True, "previews": True}
    with client.stream("POST", "/api/generate", params=flags, json=usual) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert list(lines[0]) == ["job"]
    under_way = [line for line in lines if "done" in line]
    assert under_way[0]["total"] == 3
    with Image.open(io.BytesIO(base64.b64decode(under_way[0]["previews"][0]))) as preview:
        assert preview.size == (16, 16)
    assert len(lines[-1]["pictures"]) == 1


def test_a_stream_ends_with_an_error_in_words(client, usual):
    answer = client.post("/api/generate?stream=true", json={**usual, "num_steps": 200})
    assert answer.status_code == 200
    last = json.loads(answer.text.splitlines()[-1])
    assert "100" in last["error"]


def test_pictures_to_start_from(client, usual):
    new = client.post("/api/uploads", content=png()).json()["id"]
    url = "data:image/png;base64," + base64.b64encode(png("black")).decode()
    body = {**usual, "init_image": new, "mask": url}
    answer = client.post("/api/generate", json=body).json()
    file = client.get(answer["pictures"][0]["url"]).content
    assert np.array_equal(Image.open(io.BytesIO(file)), Image.open(io.BytesIO(png())))


def test_settings_of_a_picture(client, drawn):
    file = base64.b64decode(drawn["pictures"][1]["png"])
    recalled = client.post("/api/settings", content=file).json()
    assert recalled["left_out"] == []
    assert recalled["request"]["first"] == 1
    again = client.post("/api/generate?inline=true", json=recalled["request"]).json()
    mine, theirs = (
        Image.open(io.BytesIO(base64.b64decode(each["png"])))
        for each in (again["pictures"][0], drawn["pictures"][1])
    )
    assert np.abs(np.asarray(mine, int) - np.asarray(theirs, int)).max() <= 1


def test_gallery_archive_and_deletion(client, engine, usual):
    (entry,) = client.post("/api/generate", json=usual).json()["pictures"]
    assert client.get("/api/pictures").json()["pictures"][0] == {
        "id": entry["id"],
        "url": entry["url"],
    }
    answer = client.get("/api/pictures.zip", params={"id": entry["id"]})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read(f"{entry['id']}.png") == engine.gallery.png(entry["id"])
    assert client.delete(f"/api/pictures/{entry['id']}").json() == {"deleted": entry["id"]}
    assert client.get(entry["url"]).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/api/generate", {}, 400, "is required"),
        ("POST", "/api/generate", {"num_images": 5}, 400, "and 4 is the most here"),
        ("POST", "/api/generate", {"num_stepz": 5}, 400, "did you mean 'num_steps'?"),
        ("POST", "/api/generate", {"model": "/etc"}, 400, "is not one that this server has"),
        ("POST", "/api/generate", {"model": "\ud800"}, 400, "is not one that this server has"),
        ("POST", "/api/generate", {"prompt": ["\ud800"]}, 400, "is not UTF-8"),
        ("POST", "/api/generate", {"num_steps": 200}, 400, "100"),
        ("POST", "/api/generate", {"init_image": "data:,x"}, 400, "give an id of POST"),
        ("POST", "/api/generate", {"init_image": "0" * 64}, 400, "no upload has the id"),
        ("POST", "/api/generate", {"init_image": "0" * 24}, 404, "no picture has the id"),
        ("POST", "/api/generate?stream=perhaps", {}, 400, "stream: Input should be"),
        ("GET", "/api/generate", None, 404, "no such route for GET"),
        ("GET", f"/api/pictures/{'0' * 24}.png", None, 404, "no picture has the id"),
        ("GET", "/api/pictures.zip?id=..", None, 404, "no picture has the id"),
        ("DELETE", "/api/pictures/x", None, 404, "no picture has the id"),
        ("DELETE", "/api/jobs/x", None, 404, "no job"),
        ("GET", "/api/", None, 404, "no such route"),
        ("GET", "/api/nothing", None, 404, "no such route"),
    ],
)
def test_errors_in_words(client, usual, method, path, body, status, words):
    if body and method == "POST":
        body = {**usual, **body}
    content = None if body is None else json.dumps(body)
    headers = {"Content-Type": "application/json"}
    answer = client.request(method, path, content=content, headers=headers)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "content", "kind", "status"),
    [
        ("/api/generate", b"{", "application/json", 400),
        ("/api/generate", b"[" * 100_000, "application/json", 400),
        ("/api/generate", b"[]", "application/json", 400),
        ("/api/generate", b"\xff\xfe", "application/json", 400),
        ("/api/generate", b"{}", "text/plain", 415),
        ("/api/uploads", b"", "image/png", 400),
        ("/api/uploads", b"no picture", "image/png", 400),
        ("/api/settings", png(), "image/png", 400),
    ],
)
def test_bodies_that_are_nothing(client, path, content, kind, status):
    answer = client.post(path, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


def test_a_full_queue_and_a_cancelled_job(client, engine, usual):
    from textdiff.app.request import DrawRequest

    running = engine.draw(DrawRequest.of({**usual, "num_steps": 100}))
    next(running.events())
    waiting = engine.draw(DrawRequest.of(usual))
    refused = client.post("/api/generate", json=usual)
    assert refused.status_code == 429
    assert client.delete(f"/api/jobs/{waiting.id}").json() == {"cancelled": waiting.id}
    assert client.delete(f"/api/jobs/{running.id}").status_code == 200
    assert running.result() == waiting.result()


def test_a_fault_of_a_route(client, engine, monkeypatch):
    monkeypatch.setattr(engine.gallery, "list", lambda: 1 / 0)
    answer = client.get("/api/pictures")
    assert (answer.status_code, list(answer.json())) == (500, ["error"])


def test_a_fault_of_a_job(client, engine, usual, monkeypatch):
    def broken(*_: object):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(engine.models, "loaded", broken)
    answer = client.post("/api/generate", json=usual)
    assert answer.status_code == 500
    assert "fault of textdiff's own" in answer.json()["error"]
    assert "secret" not in answer.text
    monkeypatch.undo()
    assert client.post("/api/generate", json=usual).status_code == 200
