"""Searches by the page and the API: whose index, whose CLIP, and nothing beyond them."""

from __future__ import annotations

import base64
import io
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from tests.helpers.shapes import draw_shape
from tests.helpers.workers import prepared_once
from textdiff.app import api
from textdiff.app.engine import Engine
from textdiff.app.jobs import QueueFullError
from textdiff.app.search import Indexes, SearchRequest
from textdiff.app.settings import UiSettings
from textdiff.clip import ClipModel
from textdiff.commands.cli import run
from textdiff.errors import CheckpointError, DataError, UsageError
from textdiff.retrieval import Index, Query, Searcher, Weighted


@pytest.fixture(scope="module")
def folder(tmp_path_factory, shapes, tiny_clip) -> Path:
    """An index of the shapes, by a copy of the CLIP that is gone now."""

    def build(folder: Path) -> None:
        clip = shutil.copytree(tiny_clip, folder / "clip")
        flags = ["--data", str(shapes), "--data.min-side", "4", "--feature-cache", "off"]
        run(["index", "build", *flags, "--clip", str(clip), "--out", str(folder / "index")])
        shutil.rmtree(clip)

    return prepared_once(tmp_path_factory, "index for the page", build) / "index"


@pytest.fixture(scope="module")
def engine(folder, tiny_clip, tmp_path_factory):
    settings = {"index": [str(folder)], "judge": [str(tiny_clip)], "limits": {"results": 30}}
    engine = Engine(UiSettings(**settings, gallery=str(tmp_path_factory.mktemp("gallery"))))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def usual(folder):
    return {"index": str(folder)}


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def test_a_picture_of_the_index_is_the_nearest_to_itself(engine, usual):
    wanted = draw_shape("green", "cross")
    new = engine.uploads.add(png(wanted))
    best = engine.search(SearchRequest.of({**usual, "picture": new, "top": 3})).hits[0]
    assert best.caption == "green cross"
    assert best.score == pytest.approx(1, abs=1e-4)
    assert np.array_equal(engine.indexed_picture(str(usual["index"]), best.row), wanted)


def test_text_plus_and_minus_with_weights(engine, usual):
    """As the searcher itself has it."""
    clip = ClipModel.load(engine.settings.judge[0]).freeze()
    own = Searcher(Index.open(usual["index"]), clip)
    query = Query(texts=[Weighted("red circle", 2.0), Weighted("square", -0.5)])
    asked = {"text": "red circle", "minus": "square", "text_weight": 2, "minus_weight": 0.5}
    found = engine.search(SearchRequest.of({**usual, **asked, "top": 4}))
    assert found.hits == own.search(query, 4).hits


def test_more_like_a_row(engine, usual):
    found = engine.search(SearchRequest.of({**usual, "row": 3, "top": 5}))
    assert found.hits == Index.open(usual["index"]).nearest_to_row(3, 5).hits
    assert 3 not in [hit.row for hit in found.hits]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "nothing to look for; give text, picture or row"),
        ({"row": 1, "text": "a"}, "row with text; give row alone"),
        ({"row": -1}, "row: Input should be greater than or equal to 0"),
        ({"text": "a", "top": 0}, "top: Input should be greater than or equal to 1"),
        ({"text": "a", "top": 31}, "top: 31 asked for, and 30 is the most here"),
        ({"text": "a" * 1001}, "letters of a text: 1001 asked for"),
        ({"text": " "}, "an empty text"),
        ({"text": "a", "text_weight": float("inf")}, "text_weight: "),
        ({"row": 10_000}, "row 10000 is not in the index"),
        ({"text": "a", "index": "/etc"}, "index '/etc' is not one that this server has"),
        ({"text": "a", "where": "x"}, "unknown key 'where'"),
    ],
)
def test_requests_that_are_refused(engine, usual, changes, words):
    with pytest.raises(UsageError) as caught:
        engine.search(SearchRequest.of({**usual, **changes}))
    assert words in str(caught.value)


def test_a_picture_is_an_id_and_never_a_path(engine, usual):
    for given in ("/etc/passwd", "..", "0" * 64, "0" * 24):
        with pytest.raises(DataError, match="has the id"):
            engine.search(SearchRequest.of({**usual, "picture": given}))
    with pytest.raises(UsageError, match="is not one that this server has"):
        engine.indexed_picture("/etc", 0)


def test_routes(engine, usual):
    app = FastAPI()
    api.install(app, engine)
    client = TestClient(app)
    url = "data:image/png;base64," + base64.b64encode(png(draw_shape("red", "cross"))).decode()
    answer = client.post("/api/search", json={"picture": url}).json()
    best = answer["hits"][0]
    assert answer["index"] == str(usual["index"])
    assert (best["caption"], best["url"]) == ("red cross", f"/api/indexes/0/{best['row']}.png")
    assert best["matches"] is (
        answer["threshold"] is None or best["likeness"] > answer["threshold"]
    )
    with Image.open(io.BytesIO(client.get(best["url"]).content)) as picture:
        assert np.array_equal(picture, draw_shape("red", "cross"))
    for path, status in (("/api/indexes/1/0.png", 404), ("/api/indexes/0/99.png", 400)):
        assert client.get(path).status_code == status
    assert client.get("/api/status").json()["indexes"] == [str(usual["index"])]


def test_no_clip_like_that_of_the_index(folder, other_clip, tmp_path):
    settings = UiSettings(index=[str(folder)], judge=[str(other_clip)], gallery=str(tmp_path))
    engine = Engine(settings)
    try:
        with pytest.raises(CheckpointError, match=r"the CLIP of .* is not here .* with --judge"):
            engine.search(SearchRequest.of({"index": str(folder), "text": "a"}))
    finally:
        engine.close()


def test_a_folder_that_is_no_index(tmp_path):
    with pytest.raises(DataError, match=r"is no index: it has no manifest\.json"):
        Engine(UiSettings(index=[str(tmp_path)], gallery=str(tmp_path / "gallery")))


def test_so_many_wait_and_no_more(engine, usual):
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Indexes):
        def _searcher(self, name):
            begun.set()
            assert go_on.wait(10)
            raise DataError("done")

    indexes = Slow([usual["index"]], engine.models, engine.clips, most=1)
    request, errors = SearchRequest.of({**usual, "text": "a"}), []

    def search() -> None:
        try:
            indexes.search(request, engine.open_picture)
        except DataError as error:
            errors.append(error)

    thread = threading.Thread(target=search)
    thread.start()
    assert begun.wait(10)
    with pytest.raises(QueueFullError, match="too many searches wait"):
        indexes.search(request, engine.open_picture)
    go_on.set()
    thread.join()
    assert len(errors) == 1
