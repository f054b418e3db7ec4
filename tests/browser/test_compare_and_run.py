"""Grids and runs in the browser."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.helpers.browser import Visit

pytestmark = pytest.mark.slow


@pytest.fixture
def compare(page) -> Visit:
    page.tab("Compare")
    page.fill("cells-prompt", "red circle")
    page.fill("cells-num_steps", 2)
    page.fill("cells-num_images", 1)
    return page


def table(page: Visit) -> list[list[str]]:
    rows = page.window.locator("#cells tr").all()
    return [[cell.inner_text() for cell in row.locator("th, td").all()] for row in rows]


def test_a_grid_has_its_labels_scores_and_pictures(compare, tmp_path):
    compare.vary("x", "guidance_scale", "1, 3, 7")
    compare.vary("y", "sampler", "ddim, dpmpp")
    compare.window.click("#compare")
    said = compare.says("compare-said", "6 cells, 6 drawn now, 0 as before; seed 0.")
    assert "CLIP score by" in said
    head, *rows = table(compare)
    assert head[-3:] == ["guidance_scale 1", "guidance_scale 3", "guidance_scale 7"]
    assert [row[0] for row in rows] == ["sampler ddim", "sampler dpmpp"]
    assert all(0 <= float(score) <= 100 for row in rows for score in row[1:])
    assert compare.window.locator("#cells img").count() == 6
    alt = compare.window.locator("#cells img").last.get_attribute("alt")
    assert alt == "guidance_scale 7, sampler dpmpp"
    with compare.window.expect_download() as download:
        compare.window.click("#compare-link a")
    download.value.save_as(tmp_path / "grid.png")
    sheet = np.asarray(Image.open(tmp_path / "grid.png").convert("L"))
    assert sheet.shape[0] > 2 * 96 and sheet.shape[1] > 3 * 96

    compare.fill("x-values", "1, 3, 9")
    compare.window.click("#compare")
    compare.says("compare-said", "6 cells, 2 drawn now, 4 as before")


def test_prompts_across_and_checkpoints(compare, tiny_run, server):
    steps = server.ask("GET", "/api/models")[1][0]["steps"][:2]
    compare.vary("x", "prompt", "red circle, small\nblue square")
    compare.vary("y", "step", ", ".join(map(str, steps)))
    compare.window.click("#compare")
    compare.says("compare-said", "4 cells")
    head, *rows = table(compare)
    assert head[-2:] == ["red circle, small", "blue square"]
    assert [row[0] for row in rows] == [f"step {step}" for step in steps]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("", "no values for guidance_scale"),
        ("1, much", "much"),
        (", ".join(map(str, range(80))), "cells of the grid: 80 asked for, and 64 is the most"),
    ],
)
def test_axes_that_cannot_be_are_refused_in_words(compare, values, words):
    compare.fill("x-values", values)
    compare.window.click("#compare")
    assert words in compare.says("compare-said", words)
    assert compare.window.locator("#compare-said [role=alert]").count() == 1


def test_the_settings_of_generate_can_be_copied(page):
    for name, value in {"prompt": "green star", "num_steps": 7, "num_images": 3}.items():
        page.fill(f"draw-{name}", value)
    page.fill("draw-seed", 42)
    page.tab("Compare")
    page.window.click("#copy")
    page.window.wait_for_function("document.querySelector('#cells-seed input').value === '42'")
    assert page.value("cells-prompt") == "green star"
    assert [page.value(f"cells-{name}") for name in ("num_steps", "num_images")] == ["7", "3"]
    for name in ("guidance_scale", "sampler", "negative_prompt"):
        assert page.value(f"cells-{name}") == page.value(f"draw-{name}"), name


def test_a_run_shows_verdict_curves_and_pictures_and_grows_while_it_is_looked_at(page, emoji_clip):
    page.tab("Run")
    page.window.wait_for_selector("#run svg")
    assert "Training loss" in page.window.inner_text("#run")
    assert "finished" in page.window.inner_text("#run-said")
    log = emoji_clip / "metrics.jsonl"
    before = log.read_bytes()
    recall = {f"held_out/{way}_R@1": 0.9 for way in ("image_to_text", "text_to_image")}
    chance = {f"held_out/{way}_chance R@1": 0.1 for way in ("image_to_text", "text_to_image")}
    try:
        with log.open("a") as file:
            file.write(json.dumps({"step": 160, "loss": 0.01, **recall, **chance}) + "\n")
        page.says("run", "At step 160:")
        assert "9.0 times as often as by chance" in page.window.inner_text("#run .verdict")
    finally:
        log.write_bytes(before)


def test_a_run_of_a_model_has_pictures_over_time(page, tiny_run):
    page.tab("Run")
    page.fill("run-name", tiny_run)
    page.says("run", "Pictures over time")
    alts = page.window.locator("#run table.timeline img").evaluate_all(
        "all => all.map(one => one.alt)"
    )
    assert any("drawn at step 6" in alt for alt in alts)
