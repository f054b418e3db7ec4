"""Search in the browser: by text, by picture, more like this, and nothing that matches."""

from __future__ import annotations

import pytest

from tests.helpers.browser import Visit
from textdiff.retrieval import Index

pytestmark = pytest.mark.slow

CAPTIONS = (
    *("hot beverage", "Scorpio", "man bouncing ball", "fuel pump", "star", "flag of Belize"),
    *("flag of Canada", "flag of China", "flag of Costa Rica", "flag of Estonia"),
)


@pytest.fixture
def search(page) -> Visit:
    page.tab("Search")
    return page


def first_match(page: Visit, caption: str) -> None:
    """Waits until this is the caption of the best match."""
    best = page.window.locator("#results ul[aria-label=matches] li").first
    best.filter(has_text=caption).wait_for()


def test_the_right_emoji_comes_first(search):
    for caption in CAPTIONS:
        search.fill("query", caption)
        search.window.click("#search")
        first_match(search, caption)
    image = search.window.locator("#results img").first
    assert image.get_attribute("alt") == CAPTIONS[-1]
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 32
    search.says("search-said", "the best first")


def test_a_picture_finds_itself_and_can_be_left_out_again(search, emoji_index, tmp_path):
    index = Index.open(emoji_index)
    (row,) = [row for row in range(len(index)) if index.caption(row) == "fuel pump"]
    index.picture(row).save(tmp_path / "pump.png")
    search.window.locator("#query-file input[type=file]").set_input_files(tmp_path / "pump.png")
    first_match(search, "fuel pump")
    search.window.click("#query-picture button")
    search.window.wait_for_selector("#query-picture img", state="detached")
    search.window.click("#search")
    search.says("search-said", "Type what the pictures should show")


def test_more_like_this(search):
    search.fill("query", "flag of Estonia")
    search.window.click("#search")
    first_match(search, "flag of Estonia")
    search.window.get_by_role("button", name="More like this").first.click()
    search.window.wait_for_function(
        "!document.querySelector('#results').innerText.includes('flag of Estonia')"
    )


def test_nonsense_matches_nothing_and_says_so(search):
    search.fill("query", "12345")
    search.window.click("#search")
    search.says("search-said", "No match: nothing scores above")
    assert search.window.locator("#results ul[aria-label=matches]").count() == 0
    assert not search.window.locator("#results img").first.is_visible()
    search.window.get_by_text("Show the nearest ones all the same").click()
    assert search.window.locator("#results img").first.is_visible()


def test_nearest_training_pictures_of_a_drawn_one(page):
    page.draw("star", num_steps=2, num_images=1)
    page.window.locator("#gallery button.picture").first.click()
    page.window.click("#nearest")
    page.window.wait_for_selector("#query-picture img")
    page.window.wait_for_selector("#results img", state="attached")
    assert page.window.get_by_role("tab", name="Search").get_attribute("aria-selected") == "true"
