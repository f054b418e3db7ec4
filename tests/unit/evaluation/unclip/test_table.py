"""Which route is best, in words."""

from __future__ import annotations

from textdiff.evaluation.unclip.result import Best
from textdiff.evaluation.unclip.table import sentence
from textdiff.metrics.bootstrap import Estimate


def lead(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 0.95, 1000)


def test_others_are_behind_only_where_the_interval_says_so():
    best = Best("diffusion prior", {"text": lead(0.1, 0.05, 0.2), "model": lead(0.02, -0.1, 0.1)})
    assert sentence("R@1", best) == (
        "best by R@1 in %: diffusion prior; ahead of text +10.0 (+5.0 to +20.0); "
        "not told apart from model +2.0 (-10.0 to +10.0)"
    )


def test_less_is_better_in_kid():
    best = Best("text", {"model": lead(-0.02, -0.03, -0.01)})
    assert sentence("KID", best) == ("best by KID x 1000: text; ahead of model -20 (-30 to -10)")
