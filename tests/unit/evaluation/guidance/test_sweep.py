"""Names of settings, and what a sweep's main numbers are."""

from __future__ import annotations

import pytest

from tests.helpers.sweeps import EARLY, FINAL, sweep
from textdiff.evaluation.guidance.sweep import Scales


@pytest.mark.parametrize(
    ("scales", "kind", "name"),
    [
        (Scales(1.0, 0.0), "none", "unguided"),
        (Scales(2.5, 0.0), "CFG", "CFG 2.5"),
        (Scales(1.0, 5.0), "CLIP", "CLIP 5"),
        (Scales(2.5, 5.0), "CFG + CLIP", "CFG 2.5 CLIP 5"),
        (Scales(2.5, 0.0, num_steps=6), "CFG", "CFG 2.5, 6 steps"),
        (
            Scales(2.5, 0.0, EARLY),
            "best of 4 by noised CLIP, early",
            "CFG 2.5, best of 4 by noised CLIP, early (noised at 0.5)",
        ),
        (
            Scales(1.0, 0.0, FINAL),
            "best of 4 by final clean CLIP",
            "unguided, best of 4 by final clean CLIP (clip)",
        ),
    ],
)
def test_kinds_and_names(scales, kind, name):
    assert (scales.kind, str(scales)) == (kind, name)


def test_estimates_are_by_setting_and_of_real_pictures():
    found = sweep()
    estimates = dict(found.estimates())
    assert len(estimates) == 3 * 5
    last = found.settings[-1].scores
    assert estimates["CFG 3 CLIP 2: held out R@1"] == last.held_out.following.at_1
    assert estimates["CFG 3 CLIP 2: held out KID"] == last.held_out.kid
    assert estimates["real pictures: guide R@1"] == found.real.guide.at_1
