"""Grids of cells: what is drawn, what is reused, how it is scored, and what cannot be drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from textdiff.app.axes import Axis
from textdiff.app.comparing import (
    CellDone,
    CellFailed,
    Grid,
    Memory,
    check_grid,
    compare,
    scores_of,
)
from textdiff.app.drawing import Drawn
from textdiff.app.engine import Engine
from textdiff.app.request import DrawRequest
from textdiff.app.settings import Limits, UiSettings
from textdiff.clip import ClipModel
from textdiff.errors import UsageError


@pytest.fixture
def engine(tiny_run, tiny_clip, tmp_path):
    engine = Engine(
        UiSettings(
            model=[str(tiny_run)],
            judge=[str(tiny_clip)],
            gallery=str(tmp_path / "gallery"),
            limits=Limits(cells=6, steps=20),
        )
    )
    yield engine
    engine.close()


@pytest.fixture
def request_(tiny_run):
    return DrawRequest.of(
        {"model": str(tiny_run), "prompt": ["red circle"], "num_steps": 2, "num_images": 2}
    )


def filled(engine, grid, memory=None, judge=None) -> dict[tuple[int, int], CellDone | CellFailed]:
    events = compare(engine, grid, memory or Memory(), judge)
    last = (event for event in events if isinstance(event, (CellDone, CellFailed)))
    return {(event.cell.row, event.cell.column): event for event in last}


def pixels(pictures) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pictures])


def drawn_alone(engine, request) -> np.ndarray:
    result = engine.draw(request).result()
    assert isinstance(result, Drawn)
    return pixels(result.pictures)


def test_each_cell_is_what_its_settings_draw_alone(engine, request_):
    grid = Grid(request_, Axis.read("guidance_scale", "1, 4"), Axis.read("sampler", "ddim, dpmpp"))
    cells = filled(engine, grid)
    assert sorted(cells) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for (row, column), cell in cells.items():
        alone = request_.model_copy(
            update={
                "guidance_scale": (1.0, 4.0)[column],
                "sampler": ("ddim", "dpmpp")[row],
            }
        )
        assert np.array_equal(pixels(cell.pictures), drawn_alone(engine, alone))
        assert not cell.reused


def test_what_did_not_change_is_not_drawn_again(engine, request_):
    memory = Memory()
    first = filled(engine, Grid(request_, Axis.read("guidance_scale", "1, 4")), memory)
    again = filled(engine, Grid(request_, Axis.read("guidance_scale", "4, 1, 6")), memory)
    assert [again[0, k].reused for k in range(3)] == [True, True, False]
    assert again[0, 0].pictures == first[0, 1].pictures
    other = request_.model_copy(update={"seed": 1})
    cells = filled(engine, Grid(other, Axis.read("guidance_scale", "1, 4")), memory)
    assert not any(cell.reused for cell in cells.values())


def test_checkpoints_are_compared_and_the_newest_is_known_by_its_step(engine, request_, tiny_run):
    newest, older = engine.models.steps(str(tiny_run))[:2]
    memory = Memory()
    cells = filled(engine, Grid(request_, Axis.read("step", f"{newest}, {older}, none")), memory)
    assert not np.array_equal(pixels(cells[0, 0].pictures), pixels(cells[0, 1].pictures))
    assert cells[0, 0].pictures == cells[0, 2].pictures and cells[0, 2].reused


def test_scores_are_those_of_the_judge(engine, request_, tiny_clip):
    judge = str(tiny_clip)
    grid = Grid(request_, Axis.read("prompt", "red circle\nblue square"))
    cells, clip = filled(engine, grid, judge=judge), ClipModel.load(tiny_clip).freeze()
    for column, prompt in enumerate(["red circle", "blue square"]):
        cell = cells[0, column]
        images = torch.from_numpy(pixels(cell.pictures)).permute(0, 3, 1, 2)
        with torch.no_grad():
            f, g = clip.encode_image(images), clip.encode_text([prompt, prompt]).projected
        cosines = torch.nn.functional.cosine_similarity(f, g)
        assert cell.scores == pytest.approx((100 * cosines.clamp(min=0)).tolist(), abs=1e-3)
        assert cell.score == pytest.approx(sum(cell.scores) / 2)


def test_another_judge_scores_pictures_that_are_there_without_drawing(engine, request_, tiny_clip):
    memory, grid = Memory(), Grid(request_, Axis.read("guidance_scale", "1"))
    assert filled(engine, grid, memory)[0, 0].score is None
    scored = filled(engine, grid, memory, str(tiny_clip))[0, 0]
    assert scored.reused and scored.score is not None


def test_a_noised_clip_judges_by_its_clean_form(request, tiny_run, tmp_path):
    noised = str(request.getfixturevalue("noised_with_clean"))
    engine = Engine(UiSettings(model=[str(tiny_run)], judge=[noised], gallery=str(tmp_path / "g")))
    try:
        drawing = DrawRequest.of({"model": str(tiny_run), "prompt": ["red circle"], "num_steps": 1})
        pictures = engine.draw(drawing).result().pictures
        (score,) = scores_of(engine, noised, pictures, ["red circle"])
        assert 0 <= score <= 100
    finally:
        engine.close()


def test_a_cell_that_cannot_be_drawn_says_why_and_the_others_go_on(engine, request_):
    cells = filled(engine, Grid(request_, Axis.read("num_steps", "2, 3")))
    assert all(isinstance(cell, CellDone) for cell in cells.values())
    asked = Grid(request_, Axis.read("timesteps", "[50, 0]\n[5000]\n[30]"))
    cells = filled(engine, asked)
    assert isinstance(cells[0, 1], CellFailed)
    assert "5000 is none of the schedule's" in cells[0, 1].error
    assert isinstance(cells[0, 0], CellDone) and isinstance(cells[0, 2], CellDone)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (("guidance_scale", "1,2,3,4"), ("sampler", "ddim, ddpm"), "8 asked for, and 6 is the"),
        (("num_steps", "10, 21"), None, "num_steps: 21 asked for, and 20 is the most"),
        (("model", "/etc"), None, "is not one that this server has"),
        (("seed", "1, 2"), ("seed", "3"), "both axes vary seed"),
    ],
)
def test_grids_beyond_the_limits_are_refused_before_anything_is_drawn(
    engine, request_, x, y, words
):
    grid = Grid(request_, Axis.read(*x), Axis.read(*y) if y else None)
    with pytest.raises(UsageError, match=words):
        check_grid(engine, grid)
    with pytest.raises(UsageError, match=words):
        next(compare(engine, grid, Memory()))


def test_an_unknown_judge_is_refused(engine, request_):
    with pytest.raises(UsageError, match="judge '/etc' is not one"):
        check_grid(engine, Grid(request_, Axis.read("seed", "1")), "/etc")


def test_who_stops_listening_ends_the_job(engine, request_):
    events = compare(engine, Grid(request_, Axis.read("num_steps", "20")), Memory())
    next(events)
    events.close()
    assert engine.submit(lambda: iter(["the worker is free"])).result() == "the worker is free"
    assert engine.jobs.length == 0


def test_memory_forgets_what_was_used_longest_ago(engine, request_):
    one = 2 * 16 * 16 * 3  # bytes of a cell's pictures
    memory, grid = Memory(2 * one), Grid(request_, Axis.read("seed", "1, 2, 3"))
    filled(engine, grid, memory)
    again = filled(engine, Grid(request_, Axis.read("seed", "3, 2, 1")), memory)
    assert [again[0, k].reused for k in range(3)] == [True, True, False]
