"""Drawing in the browser: pictures, previews, stop, seeds, settings that come back."""

from __future__ import annotations

import io
import zipfile

import pytest
from PIL import Image

from tests.helpers.browser import Visit
from textdiff.commands.cli import run
from textdiff.pipeline.origin import origin_in, read_origin

pytestmark = pytest.mark.slow

QUICK = {"num_steps": 4, "num_images": 2}
LONG = {"num_steps": 100, "num_images": 16, "best_of": 16}  # so that there is time to look


def keep_seed(page: Visit, seed: int) -> None:
    page.fill("draw-seed", seed)
    page.window.get_by_label("Keep this seed").check()


def choose_first(page: Visit) -> None:
    page.window.locator("#gallery button.picture").first.click()
    page.says("one", "Download PNG")


def test_a_prompt_gives_pictures_that_hold_it(page):
    pictures = page.draw("red circle", **QUICK)
    origins = [origin_in(data, "picture") for data in pictures]
    assert [origin.prompt for origin in origins] == ["red circle", "red circle"]
    assert [origin.index for origin in origins] == [0, 1]
    assert origins[0].config.num_steps == 4
    alts = page.window.locator("#pictures img").evaluate_all("all => all.map(one => one.alt)")
    assert alts == ["red circle", "red circle"]


def test_enter_draws(page):
    page.fill("draw-num_steps", 2)
    page.fill("draw-prompt", "red circle")
    page.window.locator("#draw-prompt input, #draw-prompt textarea").press("Enter")
    page.says("said", " s, seed ")


def test_previews_come_before_the_end_and_stop_ends_it(page, server):
    page.open("draw-advanced")
    for name, value in LONG.items():
        page.fill(f"draw-{name}", value)
    page.fill("draw-prompt", "red circle")
    page.press_draw()
    page.window.wait_for_selector("#pictures .preview img")
    assert "Step " in page.window.inner_text("#said")
    page.window.click("#stop")
    assert "Stopped after step " in page.says("said", "Stopped")
    assert server.ask("GET", "/api/status")[1]["jobs"] == 0
    assert page.window.locator("#pictures .preview img").count() == 16  # what there was stays


def test_a_kept_seed_draws_the_same_bytes_and_the_dice_others(page):
    keep_seed(page, 11)
    first = page.draw("red circle", **QUICK)
    assert page.draw("red circle") == first
    page.window.get_by_role("button", name="New seed").first.click()
    page.window.wait_for_function("document.querySelector('#draw-seed input').value !== '11'")
    assert page.draw("red circle") != first


def test_without_keeping_it_each_drawing_has_a_seed_of_its_own(page):
    page.draw("red circle", **QUICK)
    first = page.value("draw-seed")
    page.draw("red circle")
    assert page.value("draw-seed") != first
    assert page.value("draw-seed") in page.window.inner_text("#said")


def test_the_bytes_are_those_of_textdiff_sample(page, tiny_run, tmp_path):
    keep_seed(page, 5)
    pictures = page.draw("red circle", **QUICK)
    flags = ["--num-steps", "4", "--seed", "5", "--num-images", "2", "--prompt", "red circle"]
    run(["sample", "--model", str(tiny_run), *flags, "--out", str(tmp_path)])
    assert pictures == [path.read_bytes() for path in sorted(tmp_path.glob("[0-9]*.png"))]


def test_the_gallery_survives_a_reload_and_gives_settings_back(page):
    keep_seed(page, 21)
    page.fill("draw-negative_prompt", "blue")
    page.open("draw-advanced")
    page.fill("draw-others", "eta: 0.5")
    (_, second) = page.draw("green square", **QUICK)
    page.window.reload()
    page.window.wait_for_selector("#gallery button.picture")
    choose_first(page)  # the newest is the second of two
    page.window.click("#use")
    page.says("said", "settings of the picture")
    assert page.value("draw-prompt") == "green square"
    assert page.value("draw-negative_prompt") == "blue"
    assert page.value("draw-seed") == "21"
    page.open("draw-advanced")  # folded again
    others = page.value("draw-others").splitlines()
    assert others == ["eta: 0.5", "first: 1"]
    page.fill("draw-num_images", 1)
    (again,) = page.draw("green square")
    assert Image.open(io.BytesIO(again)).tobytes() == Image.open(io.BytesIO(second)).tobytes()


def test_settings_come_out_of_a_png_that_is_dropped_in(page, tiny_run, tmp_path):
    flags = ["--num-steps", "3", "--seed", "77", "--guidance-scale", "4.5", "--prompt", "blue star"]
    run(["sample", "--model", str(tiny_run), *flags, "--out", str(tmp_path)])
    (png,) = tmp_path.glob("0*.png")
    page.open("recall")
    page.window.locator("#png-file input[type=file]").set_input_files(png)
    page.says("recall-said", "These are the settings of the picture")
    values = [page.value(f"draw-{name}") for name in ("prompt", "seed", "guidance_scale")]
    assert values == ["blue star", "77", "4.5"]
    (drawn,) = page.draw("blue star")
    assert Image.open(io.BytesIO(drawn)).tobytes() == Image.open(png).tobytes()


def test_a_file_that_is_no_picture_of_ours_is_refused_in_words(page, tmp_path):
    plain = tmp_path / "plain.png"
    Image.new("RGB", (8, 8)).save(plain)
    page.open("recall")
    page.window.locator("#png-file input[type=file]").set_input_files(plain)
    assert "holds no settings" in page.says("png-file", "holds no settings")
    assert "400" in page.faults.pop()  # as the API should


def test_downloads_hold_the_settings(page, tmp_path):
    page.draw("red circle", **QUICK)
    choose_first(page)
    with page.window.expect_download() as download:
        page.window.click("#one a.download")
    download.value.save_as(tmp_path / "one.png")
    assert read_origin(tmp_path / "one.png").prompt == "red circle"
    with page.window.expect_download() as download:
        page.window.click("#gallery a.download")
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert len(archive.namelist()) == len(set(archive.namelist())) >= 2
        assert origin_in(archive.read(archive.namelist()[0]), "picture").prompt == "red circle"


def test_a_picture_can_be_deleted(page, server):
    page.draw("red circle", **QUICK)
    before = server.ask("GET", "/api/pictures")[1]["pictures"]
    choose_first(page)
    page.window.click("#delete")
    page.window.wait_for_selector("#chosen", state="hidden")
    after = server.ask("GET", "/api/pictures")[1]["pictures"]
    assert after == before[1:]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"others": "no such: 1"}, "no such"),
        ({"others": "[1, 2]"}, "type lines such as"),
        ({"others": "seed: 3"}, "seed has a field of its own"),
        ({"others": "mask: /etc/passwd"}, "mask goes with a picture"),
        ({"others": "timesteps: [9999]"}, "9999 is none of the schedule's"),
        ({"clip_guidance_scale": "1", "prompt": " "}, "CLIP cannot guide towards an empty prompt"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_is_answered_in_words_and_the_page_goes_on(page, settings, words):
    page.open("draw-advanced")
    for name, value in {**QUICK, "prompt": "red circle", **settings}.items():
        page.fill(f"draw-{name}", value)
    page.press_draw()
    assert words in page.says("said", words)
    assert page.window.locator("#said [role=alert]").count() == 1
    page.draw("red circle", clip_guidance_scale=0, others="")


def test_two_browsers_at_once(browser, visit):
    """The second is told its place, and both get what they asked for."""
    first, second = visit(), visit()
    first.open("draw-advanced")
    for name, value in LONG.items():
        first.fill(f"draw-{name}", value)
    first.fill("draw-prompt", "red circle")
    first.press_draw()
    first.window.wait_for_selector("#pictures .preview img")
    second.fill("draw-num_steps", 2)
    second.fill("draw-prompt", "blue square")
    second.press_draw()
    assert "1 request before yours" in second.says("said", "Waiting")
    first.window.click("#stop")
    second.says("said", " s, seed ")
    first.says("said", "Stopped")
    prompts = {origin_in(data, "picture").prompt for data in second.drawn()}
    assert prompts == {"blue square"}


def test_a_window_that_closes_frees_the_worker(visit, server):
    page = visit()
    page.open("draw-advanced")
    for name, value in LONG.items():
        page.fill(f"draw-{name}", value)
    page.fill("draw-prompt", "red circle")
    page.press_draw()
    page.window.wait_for_selector("#pictures .preview img")
    assert server.ask("GET", "/api/status")[1]["jobs"] == 1
    page.window.close()
    server.ready()  # sooner than it would have been done by itself, and in any case
