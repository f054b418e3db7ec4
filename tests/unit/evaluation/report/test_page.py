"""The page as a file: everything in it, nothing fetched, every text escaped."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tests.helpers.pages import Page, faults
from textdiff.evaluation.report.document import (
    Bars,
    Chart,
    Charts,
    Facts,
    Gallery,
    Missing,
    Notes,
    Numbers,
    Pairs,
    Picture,
    Report,
    Row,
    Section,
    Table,
    Text,
    Timeline,
)
from textdiff.evaluation.report.page import html
from textdiff.evaluation.report.plot import Curve, plot
from textdiff.metrics.bootstrap import Estimate

EVIL = "\"><script>alert('&')</script><img src=http://evil/x onerror=y>{{ 7 * 7 }}"
PIXEL = "data:image/png;base64,iVBORw0KGgo="
HALF = Estimate(0.5, 0.4, 0.6, 0.95, 1000)


def report(text: str) -> Report:
    """With every kind of block, each of whose texts is `text`."""
    picture = Picture(PIXEL, text, text, text)
    rows = [Row(text, text, HALF, ".1%", 0.1, 0.9), Row("no ends", text, HALF, ".1%")]
    curves = [Curve(text, [(0, 1.0), (9, 0.5)], faint=True), Curve(text, [(0, 1.0), (9, 0.5)])]
    blocks = [
        Numbers(text, rows, text, text),
        Charts([Chart(text, text, plot(curves))]),
        Gallery(text, text, [picture]),
        Pairs(text, text, [(picture, picture)]),
        Timeline([0, 1000], [(text, [picture, picture])]),
        Bars(text, text, [(text, 3), ("none", 0)]),
        Table(text, [text, text], [[text, text]]),
        Table("", [text, text], [[text, text]]),
        Facts(text, [(text, text)]),
        Text(text, text),
        Text(text, text, folded=False),
        Notes([text]),
        Missing(text, text, text),
    ]
    return Report(text, [(text, text)], rows, [Section("all", text, text, blocks)], text)


@pytest.mark.parametrize("text", ["plain", EVIL])
def test_one_file_that_shows_all_it_has(text):
    assert faults(html(report(text))) == []


def test_texts_stay_texts():
    page, plain = Page.of(html(report(EVIL))), Page.of(html(report("plain")))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert "<script>alert('&')</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert {image["alt"] for image in page.named("img")} == {EVIL}


@pytest.mark.parametrize(
    "fault",
    [
        '<img alt="a" src="https://example.org/a.png">',
        '<img src="data:image/png;base64,AA">',
        "<script>0</script>",
        '<a href="#nowhere">a</a>',
        '<p onclick="x">',
        "<h1>again</h1>",
        "<svg></svg>",
        '<video poster="a.png">',
        "<style>p { background: url(a.png) }</style>",
    ],
)
def test_the_check_finds_faults(fault):
    page = html(report("plain"))
    assert len(faults(page.replace("</main>", f"{fault}</main>"))) == 1


def test_numbers_with_their_interval_and_ends():
    shown = Page.of(html(report("plain"))).text
    for said in ("50.0%", "40.0% to 60.0%", "Floor: plain", "10.0%", "90.0%", "floor 10.0%"):
        assert said in shown


def test_headings_stand_below_each_other():
    levels = [
        int(tag[1]) for tag, _ in Page.of(html(report("a"))).tags if tag in ("h1", "h2", "h3")
    ]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_what_is_missing_stands_at_the_top_with_a_link():
    page = Page.of(html(report("plain")))
    assert {"href": "#all"} in page.named("a")
    assert page.text.count("Not here:") == 1


def test_no_headlines_and_nothing_missing():
    bare = replace(report("a"), headlines=[], sections=[])
    assert faults(html(bare)) == []
    assert "interval" not in Page.of(html(bare)).text


def test_letters_that_no_file_can_hold():
    assert "\\ud800" in html(report("half \ud800 pair"))
