"""The page of `textdiff ui` in a headless Chromium, as a user would use it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.chromium import find_chromium

NO_BROWSER = "no browser to test the page with"
SHOTS = "TEXTDIFF_SCREENSHOTS"  # folder for pictures of the page, outside the repository
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
PATIENCE = 120_000  # milliseconds: machines that test are busy
PHONE, SCREEN = 390, 1440


@contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's browser, driving the Chromium of this machine; where there is none, the test is
    skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason=f"{NO_BROWSER}: no playwright")
    path = find_chromium()
    if path is None:
        pytest.skip(f"{NO_BROWSER}: no Chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", NO_NETWORK])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A window on the page.

    asked: every address that it fetched. faults: errors of its scripts, and answers of 400 on.
    """

    window: Any
    asked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, browser: Any, address: str, width: int = SCREEN, **options: Any) -> Visit:
        window = browser.new_page(viewport={"width": width, "height": 900}, **options)
        window.set_default_timeout(PATIENCE)
        visit = cls(window)
        window.on("request", lambda request: visit.asked.append(request.url))
        window.on("pageerror", lambda error: visit.faults.append(str(error)))
        window.on("response", visit._look)
        window.goto(address)
        window.wait_for_selector("#draw")
        return visit

    def _look(self, response: Any) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status} {response.url}")

    def tab(self, name: str) -> None:
        self.window.get_by_role("tab", name=name).click()

    def fill(self, field_id: str, value: object) -> None:
        """Types into a field of Gradio's; a dropdown takes what was typed."""
        box = self.window.locator(f"#{field_id}").locator(
            "input:not([type=range]):not([type=checkbox]), textarea"
        )
        box.first.fill(str(value))
        if box.first.get_attribute("role") == "combobox":
            self.window.get_by_role("option", name=str(value), exact=True).click()
            # a list that fades out would be taken for that of the next field
            self.window.get_by_role("option").first.wait_for(state="hidden")
        else:
            box.first.press("Tab")

    def vary(self, axis: str, name: str, values: str) -> None:
        """In the tab that compares. axis: "x" or "y". The values go when the setting changes."""
        if self.value(f"{axis}-name") != name:
            self.fill(f"{axis}-name", name)
            empty = self.window.locator(f"#{axis}-values").locator("textarea, input")
            empty.and_(self.window.locator(":placeholder-shown")).wait_for()
        self.fill(f"{axis}-values", values)

    def value(self, field_id: str) -> str:
        box = self.window.locator(f"#{field_id}").locator(
            "input:not([type=range]):not([type=checkbox]), textarea"
        )
        return box.first.input_value()

    def open(self, section_id: str) -> None:
        """Unfolds a section that is folded."""
        button = self.window.locator(f"#{section_id} button").first
        if "open" not in (button.get_attribute("class") or ""):
            button.click()

    def says(self, element_id: str, words: str) -> str:
        """Waits until the element says `words`; all that it says then."""
        element = self.window.locator(f"#{element_id}", has_text=words)
        element.wait_for()
        return element.inner_text()

    def draw(self, prompt: str, **settings: object) -> list[bytes]:
        """Draws; the files of the pictures."""
        for name, value in {"prompt": prompt, **settings}.items():
            self.fill(f"draw-{name}", value)
        self.press_draw()
        self.says("said", " s, seed ")
        return self.drawn()

    def press_draw(self) -> None:
        """What was said before is gone, so that the next words are the answer."""
        self.window.evaluate("document.querySelector('#said p').textContent = ''")
        self.window.click("#draw")

    def drawn(self) -> list[bytes]:
        """The files of the pictures that are shown as drawn last."""
        sources = self.window.locator("#pictures button.picture img").evaluate_all(
            "images => images.map(image => image.src)"
        )
        return [self.window.request.get(source).body() for source in sources]

    def shot(self, name: str) -> None:
        """A picture of the whole page, where somebody wants one."""
        folder = os.environ.get(SHOTS)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.window.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
