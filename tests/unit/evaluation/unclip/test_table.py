"""The tables, and in words which route is best."""

from __future__ import annotations

import pytest

from tests.helpers.protocols import CLIP, DATA, MODEL
from tests.helpers.sweeps import estimated, scores
from textdiff.evaluation.composition.result import Aspect
from textdiff.evaluation.held_out.differences import difference
from textdiff.evaluation.held_out.protocol import PromptProtocol, ReferenceProtocol, chance_of
from textdiff.evaluation.unclip.result import (
    Best,
    PicturesResult,
    RouteDifference,
    RouteResult,
    UnclipProtocol,
    UnclipResult,
)
from textdiff.evaluation.unclip.routes import OWN_EMBEDDING, TEXT_EMBEDDING
from textdiff.evaluation.unclip.table import print_routes, sentence
from textdiff.metrics.bootstrap import Estimate


def lead(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 0.95, 1000)


@pytest.fixture
def protocol() -> UnclipProtocol:
    return UnclipProtocol(
        decoder=MODEL,
        priors={},
        model=None,
        judges=[CLIP],
        data=DATA,
        prompts=PromptProtocol(2, 0, "sha", 2, {"judge": 0}),
        reference=ReferenceProtocol("train", 6),
        reader=None,
        sampling={},
        device="cpu",
    )


@pytest.fixture
def result() -> UnclipResult:
    """Of two routes: R@1 20% and 60%, KID 0.4 and 0.1, both aspects 30% and 50%."""
    judged = {TEXT_EMBEDDING: scores(0.2, 0.4), OWN_EMBEDDING: scores(0.6, 0.1)}
    rates = {TEXT_EMBEDDING: 0.3, OWN_EMBEDDING: 0.5}
    pictures = {
        name: PicturesResult(
            {"both": Aspect(estimated(rates[name]), 4, 0.01)}, each, estimated(0.7)
        )
        for name, each in judged.items()
    }
    gap = RouteDifference(
        difference(judged[OWN_EMBEDDING], judged[TEXT_EMBEDDING]), lead(0.2, 0.1, 0.3)
    )
    real = PicturesResult({"both": Aspect(estimated(0.9), 2, 0.01)}, scores(0.8, 0.0))
    return UnclipResult(
        chance=chance_of(2),
        real=real,
        routes={
            TEXT_EMBEDDING: RouteResult(pictures[TEXT_EMBEDDING], 0.5, 0.25, 1_500_000, {}),
            OWN_EMBEDDING: RouteResult(
                pictures[OWN_EMBEDDING], 0.5, 0.25, 1_500_000, {TEXT_EMBEDDING: gap}
            ),
        },
        best={name: Best(TEXT_EMBEDDING, {}) for name in ("R@1", "KID", "both")},
    )


def test_tables(result, protocol, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    print_routes(result, protocol)
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if "│" in line]
    assert rows[:4] == [
        [TEXT_EMBEDDING, "30 (20 to 40)", "20 (10 to 30)", "20"],
        [OWN_EMBEDDING, "50 (40 to 60)", "60 (50 to 70)", "60"],
        ["real pictures", "90 (80 to 100)", "80 (70 to 90)", "80"],
        ["chance", "1", "50", "50"],
    ]
    assert rows[4] == [TEXT_EMBEDDING, "400 (300 to 500)", "0.700 (0.600 to 0.800)", "0.5", "1.5"]
    assert rows[6][0] == "real pictures"
    assert rows[7:] == [
        [OWN_EMBEDDING, "+40.0 (+40.0 to +40.0)", "-300 (-300 to -300)", "+20.0 (+10.0 to +30.0)"]
    ]


def test_others_are_behind_only_where_the_interval_says_so():
    best = Best("diffusion prior", {"text": lead(0.1, 0.05, 0.2), "model": lead(0.02, -0.1, 0.1)})
    assert sentence("R@1", best) == (
        "best by R@1 in %: diffusion prior; ahead of text +10.0 (+5.0 to +20.0); "
        "not told apart from model +2.0 (-10.0 to +10.0)"
    )


def test_less_is_better_in_kid():
    best = Best("text", {"model": lead(-0.02, -0.03, -0.01)})
    assert sentence("KID", best) == "best by KID x 1000: text; ahead of model -20 (-30 to -10)"
