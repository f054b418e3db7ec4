"""Requests drawn: the bytes of `textdiff sample`, previews on the way, a step at a time."""

from __future__ import annotations

import io
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from textdiff.app.drawing import SECONDS_BETWEEN_PREVIEWS, Drawn, Preview, draw
from textdiff.app.engine import Engine
from textdiff.app.jobs import Cancelled, Failed, Waiting
from textdiff.app.models import Models
from textdiff.app.request import DrawRequest
from textdiff.app.settings import UiSettings
from textdiff.commands.cli import run

FAST = {"num_steps": 4, "seed": 3}


@pytest.fixture(scope="module")
def models(tiny_run) -> Models:
    return Models([str(tiny_run)])


@pytest.fixture
def loaded(models, tiny_run):
    return models.loaded(str(tiny_run))


@pytest.fixture
def engine(tiny_run, tiny_clip, tmp_path):
    names = {"model": [str(tiny_run)], "guide": [str(tiny_clip)], "judge": [str(tiny_clip)]}
    engine = Engine(UiSettings(**names, gallery=str(tmp_path / "gallery")))
    yield engine
    engine.close()


@pytest.fixture
def request_of(tiny_run):
    def of(**settings) -> DrawRequest:
        usual = {"model": str(tiny_run), "prompt": ["red circle"], **FAST}
        return DrawRequest.of({**usual, **settings})

    return of


def sampled(out: Path, *flags: str) -> list[bytes]:
    """The PNGs of `textdiff sample`."""
    usual = ["--num-steps", "4", "--seed", "3", "--out", str(out)]
    run(["sample", *usual, *map(str, flags)])
    return [path.read_bytes() for path in sorted(out.glob("[0-9]*.png"))]


def png(colour: str, side: int = 16) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, format="PNG")
    return file.getvalue()


def test_the_same_bytes_as_sample(engine, request_of, tiny_run, tiny_clip, tmp_path):
    settings = {"num_images": 2, "guidance_scale": 2.0, "negative_prompt": "blue"}
    settings |= {"clip_guidance_scale": 1.0, "clip_guide": str(tiny_clip), "first": 1}
    drawn = engine.draw(request_of(**settings, prompt=["red circle", "green cross"])).result()
    flags = ["--num-images", 2, "--guidance-scale", 2, "--negative-prompt", "blue", "--first", 1]
    flags += ["--clip-guidance-scale", 1, "--guide", tiny_clip, "--model", tiny_run]
    expected = sampled(tmp_path / "out", *flags, "--prompt", "red circle", "green cross")
    assert [engine.gallery.png(each) for each in drawn.ids] == expected


def test_the_same_bytes_with_a_mask_and_the_best_of_two(
    engine, request_of, tiny_run, tiny_clip, tmp_path
):
    ids = {"init_image": engine.uploads.add(png("green")), "mask": engine.uploads.add(png("white"))}
    chosen = {"best_of": 2, "judge": str(tiny_clip), "keep_after": [0.5]}
    drawn = engine.draw(request_of(**ids, **chosen, strength=0.5)).result()
    flags = ["--best-of", 2, "--judge", tiny_clip, "--keep-after", 0.5, "--strength", 0.5]
    flags += ["--init-image", engine.uploads.path(ids["init_image"])]
    flags += ["--mask", engine.uploads.path(ids["mask"])]
    flags += ["--prompt", "red circle", "--model", tiny_run]
    expected = sampled(tmp_path / "out", *flags)
    assert [engine.gallery.png(each) for each in drawn.ids] == expected


def test_a_picture_of_the_gallery_is_a_start(engine, request_of):
    (first,) = engine.draw(request_of()).result().ids
    drawn = engine.draw(request_of(init_image=first, mask=engine.uploads.add(png("black"))))
    (second,) = drawn.result().pictures
    assert np.array_equal(np.asarray(second), np.asarray(engine.gallery.read(first).picture))


def test_an_earlier_checkpoint(engine, request_of):
    newest, older = (engine.draw(request_of(step=step)).result() for step in (None, 4))
    assert [each.origins[0].model["step"] for each in (newest, older)] == [6, 4]
    assert not np.array_equal(newest.pictures[0], older.pictures[0])
    absent = engine.draw(request_of(step=3)).result()
    assert isinstance(absent, Failed)
    assert "has no checkpoint of step 3; it keeps steps 6, 4" in absent.error


def test_previews_come_before_the_end_and_not_too_many(request_of, loaded):
    times = count(step=SECONDS_BETWEEN_PREVIEWS / 5)
    events = list(draw(request_of(num_images=3), loaded, {}, clock=lambda: next(times)))
    assert isinstance(events[0], Preview)
    assert isinstance(events[-1], Drawn)
    assert len(events) == 4 + 1
    assert None in events
    preview = events[0]
    assert (preview.done, preview.total, preview.first) == (1, 4, 0)
    assert [each.size for each in preview.pictures] == [(16, 16)] * 3


def test_every_step_is_a_place_to_stop(request_of, loaded, monkeypatch):
    calls = []
    loaded.pipe.unet.register_forward_hook(lambda *_: calls.append(1))
    events = draw(request_of(num_steps=50, guidance_scale=1.0), loaded, {})
    next(events)
    next(events)
    events.close()
    assert len(calls) == 2


def test_previews_that_take_long_are_few(request_of, loaded, monkeypatch):
    """At most a tenth of the time goes into them: of 50 steps of 1 s, three at 2 s each."""
    now = 0.0

    def preview(x_0_hat):
        nonlocal now
        now += 2.0
        return loaded.pipe.codec.decode(x_0_hat)

    monkeypatch.setattr(type(loaded.pipe.codec), "preview", lambda codec, x_0_hat: preview(x_0_hat))
    events = draw(request_of(num_steps=50), loaded, {}, clock=lambda: now)
    previews = 0
    for event in events:
        now += 1.0
        previews += isinstance(event, Preview)
    assert previews == 3


def test_batches_say_which_pictures_they_draw(request_of, loaded, monkeypatch):
    monkeypatch.setattr("textdiff.app.drawing.PREVIEW_SHARE", 10.0)
    events = draw(request_of(num_images=3, batch_size=2), loaded, {}, clock=count().__next__)
    previews = [event for event in events if isinstance(event, Preview)]
    assert [(each.first, len(each.pictures)) for each in previews] == [(0, 2)] * 4 + [(2, 1)] * 4
    assert [each.done for each in previews] == list(range(1, 9))


def test_two_requests_one_after_the_other(engine, request_of):
    first, second = engine.draw(request_of(num_steps=30)), engine.draw(request_of())
    events = list(second.events())
    assert any(isinstance(event, Waiting) for event in events)
    assert isinstance(events[-1], Drawn)
    assert first.ended


def test_a_cancelled_drawing_keeps_nothing(engine, request_of):
    ticket = engine.draw(request_of(num_steps=100))
    next(event for event in ticket.events() if isinstance(event, Preview))
    ticket.cancel()
    assert ticket.result() == Cancelled()
    assert engine.gallery.list() == []


def test_what_the_model_cannot_follow_is_said_in_words(engine, request_of):
    failed = engine.draw(request_of(num_steps=101)).result()
    assert isinstance(failed, Failed)
    assert not failed.by_server
    assert "100" in failed.error


def test_drawing_alone_keeps_nothing(engine, request_of):
    drawn = engine.submit(lambda: engine.drawing(request_of())).result()
    assert isinstance(drawn, Drawn)
    assert drawn.ids == ()
    assert engine.gallery.list() == []
