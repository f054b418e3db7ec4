"""What is said of a logit scale at its bounds, and what is not."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.host_reads import NoHostRead
from textdiff.training.scale_watch import ScaleWatch


def said(caplog, scales: list[float]) -> list[str]:
    watch = ScaleWatch()
    for step, scale in enumerate(scales):
        watch.see(scale, step)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ([14.3, 6, 1.9, 1.0], "step 2: the logit scale collapsed from 14.3 to 1.9; lower"),
        ([14.3, 60, 100, 100], "step 2: the logit scale exploded from 14.3 to 100; lower"),
    ],
)
def test_a_scale_at_its_bound_is_said_once_with_the_step(caplog, scales, message):
    (found,) = said(caplog, scales)
    assert found.startswith(message)


@pytest.mark.parametrize("scales", [[14.3, 50, 5], [100, 100, 99], [1.0, 1.0, 1.5]])
def test_a_scale_that_moves_or_began_at_its_bound_is_not(caplog, scales):
    assert said(caplog, scales) == []


def test_what_is_kept_is_seen_later_and_keeping_it_reads_nothing(caplog):
    watch = ScaleWatch()
    watch.see_kept()
    watch.see(14.3, 0)
    with NoHostRead():
        watch.keep(torch.tensor(1.5), 7)
    assert not caplog.records
    watch.see_kept()
    assert "step 7: the logit scale collapsed from 14.3 to 1.5" in caplog.text
