"""Which settings are best."""

from __future__ import annotations

from dataclasses import replace

from tests.helpers.sweeps import setting
from textdiff.evaluation.guidance.front import best_of_each_kind, pareto_front
from textdiff.evaluation.guidance.sweep import Scales


def test_pareto_front():
    closest, best = setting(Scales(1, 0), 0.3, 0.1), setting(Scales(2, 0), 0.8, 0.3)
    beaten, tied = setting(Scales(3, 0), 0.7, 0.4), setting(Scales(4, 0), 0.5, 0.3)
    assert pareto_front([closest, beaten, tied, best]) == [closest, best]


def test_best_of_each_kind_is_of_highest_rate_then_of_lowest_distance():
    low, high, higher = (setting(Scales(s, 0), r, 0.2) for s, r in ((2, 0.4), (3, 0.6), (4, 0.6)))
    closer = replace(setting(Scales(5, 0), 0.6, 0.1))
    other = setting(Scales(1, 2), 0.1, 0.9)
    assert best_of_each_kind([low, high, other, higher, closer]) == [closer, other]
