"""What others wrote is shown, never believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.pages import Page, faults
from textdiff.app.page.markup import Figure, download, facts, figures, notice, progress

EVIL = "\"'><img src=http://evil/x onerror=y><script>alert(1)</script>&amp; </ul> `${1}`"


@pytest.mark.parametrize(
    "made",
    [
        figures([Figure("data:,", EVIL, EVIL, EVIL, EVIL, [(EVIL, EVIL)])], EVIL),
        notice(EVIL, "error"),
        progress(EVIL, 1, 2),
        facts([(EVIL, EVIL)]),
        download("data:,", EVIL, EVIL),
    ],
    ids=["figures", "notice", "progress", "facts", "download"],
)
def test_markup_of_others_is_text(made):
    page = Page.of(str(made))
    assert not page.named("script")
    assert {image["src"] for image in page.named("img")} <= {"data:,"}
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]
    assert "evil" not in str(page.references)
    if "download" not in str(made):
        assert "<script>alert(1)</script>" in page.text


@given(st.text(max_size=60))
def test_a_caption_of_any_letters_stays_one_text(text):
    page = Page.of(figures([Figure("data:,", text, text, key="k")], "list"))
    assert [tag for tag, _ in page.tags] == [
        *("ul", "li", "figure", "button", "img", "figcaption"),
    ]
    assert page.named("img")[0]["alt"]


def test_a_picture_without_a_caption_has_an_alternative_text():
    assert faults(f"<h1>x</h1>{figures([Figure('data:image/png;base64,', '')], 'l')}") == []


def test_an_error_is_said_at_once_and_progress_as_a_number():
    assert Page.of(notice("no", "error")).named("p")[0]["role"] == "alert"
    assert Page.of(notice("so")).named("p")[0]["role"] == "status"
    assert Page.of(progress("half", 1, 2)).named("progress")[0]["value"] == "1"
