"""The answers, from numbers that leave no doubt."""

from __future__ import annotations

import pytest

from textdiff.training.learning.errors import Errors
from textdiff.training.learning.words import Evidence, recall_verdict, verdict

SINGLE = (0.01, 0.1, 0.3, 0.38)
GOOD = Errors((0.005, 0.04, 0.1, 0.2), SINGLE, 0.4)
NOTHING = Errors((0.02, 0.2, 0.4, 0.5), SINGLE, 0.4)
BLOBS = Errors((0.005, 0.03, 0.1, 0.41), SINGLE, 0.4)
HARDLY = Errors((0.005, 0.03, 0.1, 0.39), SINGLE, 0.4)


def test_a_training_that_learns_says_its_numbers_in_one_line():
    evidence = Evidence(GOOD, GOOD, matter=14, prompts=16, ahead=0.031)
    assert verdict(evidence, 500) == [
        "learning: x_0_hat is nearer than the mean picture by 78% to held-out pictures (50% in the "
        "noisiest quarter of t), by 78% to training pictures (50% in the noisiest quarter of t); "
        "text matters for 14 of 16 prompts; EMA 3% ahead of the raw weights"
    ]


@pytest.mark.parametrize(
    ("held_out", "training", "step", "state"),
    [
        (NOTHING, None, 0, "before training"),
        (NOTHING, NOTHING, 100, "not learning yet"),
        (BLOBS, BLOBS, 100, "learning, but not where drawing starts"),
        (BLOBS, HARDLY, 100, "learning, but not where drawing starts"),
        (NOTHING, GOOD, 100, "learning by heart"),
        (BLOBS, GOOD, 100, "learning by heart"),
        (GOOD, None, 100, "learning"),
        (None, GOOD, 100, "learning"),
        (None, None, 100, None),
    ],
)
def test_states(held_out, training, step, state):
    assert Evidence(held_out, training).state(step) == state
    lines = verdict(Evidence(held_out, training), step)
    assert len(lines) == {None: 0, "before training": 1, "learning": 1}.get(state, 2)


def test_what_is_worse_than_the_mean_is_below_zero():
    (first, advice) = verdict(Evidence(NOTHING), 100)
    assert "(-25% in the noisiest quarter of t)" in first
    assert "--check overfit" in advice


def test_text_that_does_not_matter_and_a_lagging_average_are_said():
    evidence = Evidence(GOOD, GOOD, matter=2, prompts=16, ahead=-0.2)
    first, text, lag = verdict(evidence, 100)
    assert "text matters for only 2 of 16 prompts; EMA 20% behind the raw weights" in first
    assert "--train.lr" in text
    assert "--ema-decay" in lag


def test_there_are_never_more_than_three_lines():
    worst = Evidence(NOTHING, NOTHING, matter=0, prompts=16, ahead=-0.9)
    assert len(verdict(worst, 100)) == 3


def test_evidence_is_read_from_what_was_logged():
    values = GOOD.values("held_out") | NOTHING.values("training")
    values |= {"text/prompts_that_matter": 3.0, "text/prompts": 16.0, "average/ahead": 0.1}
    assert Evidence.read(values) == Evidence(GOOD, NOTHING, 3, 16, 0.1)
    assert Evidence.read({}) == Evidence()


def test_recall_is_compared_with_chance():
    assert recall_verdict(0.4, 0.1, 0)[0].startswith("before training: ")
    assert recall_verdict(0.4, 0.1, 9) == [
        "learning: held-out pictures find their caption 4.0 times as often as by chance"
    ]
    first, advice = recall_verdict(0.1, 0.1, 9)
    assert first.startswith("not learning yet what carries over")
    assert "--check overfit" in advice
