"""The strip of pictures over time."""

from __future__ import annotations

from PIL import Image

from textdiff.data.timeline_columns import SIDE
from textdiff.training.timeline import COLUMNS, add_to_timeline

PROMPTS = ["a red apple", "a blue pig"]


def pictures(step: int, side: int = 16) -> list[Image.Image]:
    return [Image.new("RGB", (side, side), (step % 256, row, 99)) for row in range(len(PROMPTS))]


def columns(folder) -> list[str]:
    return sorted(path.name for path in (folder / "timeline").iterdir())


def colours(folder) -> set:
    strip = Image.open(folder / "timeline.png")
    return {colour for _, colour in strip.getcolors(1 << 24) if colour[1:] in ((0, 99), (1, 99))}


def test_every_step_adds_a_column_with_a_row_per_prompt(tmp_path):
    for step in (0, 50, 100):
        add_to_timeline(tmp_path, step, pictures(step), PROMPTS)
    assert columns(tmp_path) == ["step-000000.png", "step-000050.png", "step-000100.png"]
    assert colours(tmp_path) == {(step, row, 99) for step in (0, 50, 100) for row in (0, 1)}


def test_a_resumed_run_has_the_strip_of_one_that_was_never_stopped(tmp_path):
    for step in (0, 50, 100, 150):
        add_to_timeline(tmp_path / "whole", step, pictures(step), PROMPTS)
    for step in (0, 50, 100, 125):  # killed; its checkpoint is that of step 50
        add_to_timeline(tmp_path / "resumed", step, pictures(step), PROMPTS)
    for step in (100, 150):
        add_to_timeline(tmp_path / "resumed", step, pictures(step), PROMPTS)
    whole, resumed = (tmp_path / name / "timeline.png" for name in ("whole", "resumed"))
    assert whole.read_bytes() == resumed.read_bytes()


def test_pictures_of_other_prompts_are_left_out(tmp_path):
    add_to_timeline(tmp_path, 0, pictures(0), PROMPTS[::-1])
    add_to_timeline(tmp_path, 50, pictures(50), PROMPTS)
    assert colours(tmp_path) == {(50, 0, 99), (50, 1, 99)}


def test_a_column_that_cannot_be_read_is_left_out(tmp_path):
    (tmp_path / "timeline").mkdir()
    (tmp_path / "timeline" / "step-000000.png").write_bytes(b"\x89PNG")
    add_to_timeline(tmp_path, 50, pictures(50), PROMPTS)
    assert colours(tmp_path) == {(50, 0, 99), (50, 1, 99)}


def test_the_strip_stays_narrow(tmp_path):
    for step in range(0, 200, 10):
        add_to_timeline(tmp_path, step, pictures(step, side=200), PROMPTS)
    strip = Image.open(tmp_path / "timeline.png")
    assert strip.width < (SIDE + 20) * COLUMNS
    assert {0, 190} < {colour[0] for colour in colours(tmp_path)}
