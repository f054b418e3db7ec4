"""What `textdiff unclip` refuses before it loads anything."""

from __future__ import annotations

import pytest

from tests.helpers.command import settings_of
from textdiff.errors import UsageError

LEAST = ["unclip", "--decoder", "d", "--judges", "j"]


def test_priors_are_drawn_from_as_the_flags_say():
    found = settings_of([*LEAST, "--priors", "a", "b", "--prior-candidates", "4", "--judge", "k"])
    assert (found.priors, found.judges, found.unclip.prior_candidates) == (
        ["a", "b"],
        ["j", "k"],
        4,
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["unclip", "--decoder", "d"], "--judges is required"),
        (["unclip", "--judges", "j"], "--decoder is required"),
        ([*LEAST, "--unclip.prior", "p"], "unclip.prior: .* is what is compared; give priors"),
        ([*LEAST, "--unclip.share", "0.5"], "unclip.share: .* is what is compared"),
        ([*LEAST, "--prior", "p"], "unknown flag '--prior'; did you mean '--priors'"),
        ([*LEAST, "--priors", "p", "p"], "priors p p names one twice"),
        ([*LEAST, "--num-prompts", "1"], "greater than or equal to 2"),
    ],
)
def test_settings_that_cannot_be_followed(flags, message):
    with pytest.raises(UsageError, match=message):
        settings_of(flags)
