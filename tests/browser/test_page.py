"""The page as a whole: nothing leaves the machine, nothing is wider than the window, no markup of
others' is believed, and it can be used without a mouse and without eyes."""

from __future__ import annotations

import pytest

from tests.helpers.browser import PHONE, SCREEN, Visit

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=\"document.title='taken'\"> ${1+1} {{value}} **b** <script>1</script>"
TABS = ("Generate", "Search", "Compare", "Run")
TOO_WIDE = """() => [...document.querySelectorAll('.tabitem, .tabitem *')]
  .filter(one => one.checkVisibility({visibilityProperty: true})
    && !one.closest('.cells, .scroll, svg, [role=listbox], .sr-only')
    && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(one => `${one.tagName}.${one.className}`.slice(0, 80))"""
NAMELESS = """() => [...document.querySelectorAll('.tabitem :is(button, input, textarea)')]
  .filter(one => one.checkVisibility({visibilityProperty: true}) && one.type !== 'file'
    && !one.innerText?.trim() && !one.labels?.length && !one.getAttribute('aria-label')
    && !one.title && !one.querySelector('img[alt]'))
  .map(one => one.outerHTML.slice(0, 160))"""


def show(page: Visit, tab: str) -> None:
    """Opens a tab with something in it."""
    page.tab(tab)
    if tab == "Generate":
        page.draw("red circle", num_steps=4)
        page.window.locator("#gallery button.picture").first.click()
        page.says("one", "Download PNG")
    elif tab == "Search":
        page.fill("query", "flag of China")
        page.window.click("#search")
        page.says("search-said", "the best first")
    elif tab == "Compare":
        page.fill("cells-prompt", "red circle")
        page.fill("cells-num_steps", 2)
        page.window.click("#compare")
        page.says("compare-said", "3 cells")
    else:
        page.window.wait_for_selector("#run svg")


@pytest.mark.parametrize("width", [PHONE, SCREEN])
@pytest.mark.parametrize("tab", TABS)
def test_a_tab_fits_its_window_and_every_control_has_a_name(visit, tab, width):
    page = visit(width=width)
    show(page, tab)
    page.shot(f"{tab.lower()}-{width}")
    assert page.window.evaluate(TOO_WIDE) == []
    assert page.window.evaluate("document.documentElement.scrollWidth") <= width
    assert page.window.evaluate(NAMELESS) == []
    images = page.window.locator("img").evaluate_all(
        "all => all.filter(one => one.checkVisibility() && !one.alt).map(one => one.outerHTML)"
    )
    assert images == []


def test_a_hostile_prompt_is_shown_as_it_was_typed(page):
    page.draw(HOSTILE, num_steps=2, num_images=1)
    caption = page.window.locator("#pictures figcaption").first.inner_text()
    assert caption.startswith("<img src=x onerror=\"document.title='taken'\"> ${1+1} {{value}}")
    page.window.locator("#gallery button.picture").first.click()
    assert "${1+1} {{value}} **b** <script>1</script>" in page.says("one", "${1+1}")
    page.tab("Compare")
    page.window.click("#copy")
    page.vary("x", "prompt", HOSTILE)
    page.fill("cells-num_steps", 2)
    page.window.click("#compare")
    page.says("compare-said", "1 cell")
    assert HOSTILE in page.window.inner_text("#cells th")
    assert page.window.title() == "textdiff"


def test_dark_and_light_differ(browser, visit):
    def background(scheme: str) -> str:
        page = visit(color_scheme=scheme)
        return page.window.evaluate("getComputedStyle(document.body).backgroundColor")

    assert background("light") != background("dark")


def test_a_drawing_without_a_mouse(page):
    """From the prompt on by Tab and Enter alone; where the focus is can be seen."""
    keyboard = page.window.keyboard
    page.window.locator("#draw-prompt input, #draw-prompt textarea").focus()
    keyboard.type("red circle")
    keyboard.press("Tab")
    assert page.window.evaluate("document.activeElement.id") == "draw"
    outline = page.window.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    keyboard.press("Enter")
    page.says("said", " s, seed ")
    page.window.locator("#pictures button.picture").first.focus()
    keyboard.press("Enter")
    page.says("one", "Download PNG")


def test_telemetry_and_help_of_others_is_off(page):
    config = page.window.evaluate("window.gradio_config")
    assert config["analytics_enabled"] is False
    assert page.window.locator("footer a").count() == 0
    fonts = page.window.locator(".gradio-container").evaluate(
        "one => getComputedStyle(one).fontFamily"
    )
    assert fonts.startswith(("system-ui", '"system-ui"'))
