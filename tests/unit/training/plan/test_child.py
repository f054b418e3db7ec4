"""Which batches are measured, and when the first one is measured again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.readings import reading
from textdiff.training.plan import child
from textdiff.training.plan.reading import StepJob, StepReading

JOB = StepJob(
    task="train", settings={}, batch=0, out="", live=False, evaluate=False, captions=None,
    cached=True,
)  # fmt: skip


@pytest.fixture
def jobs(monkeypatch) -> list[StepJob]:
    """Those that are run, a step of batch b taking b / 10 seconds."""
    seen: list[StepJob] = []

    def run(job: StepJob) -> StepReading:
        seen.append(job)
        return reading(job.batch, seconds=job.batch / 10, precision="bf16")

    monkeypatch.setattr(child, "run", run)
    return seen


@pytest.mark.parametrize(("most", "large"), [(1, 4), (16, 16), (10_000, 64)])
def test_the_second_batch_is_the_trainings_own_where_time_allows(jobs, tmp_path, most, large):
    first, second = child.measure_twice(JOB, tmp_path, most)
    assert (first.batch, second.batch) == (2, large)
    assert [job.evaluate for job in jobs] == [True, False]
    assert len({job.out for job in jobs}) == 2


def test_a_slow_step_is_measured_small(monkeypatch, tmp_path):
    monkeypatch.setattr(child, "run", lambda job: reading(job.batch, seconds=4.0 * job.batch))
    assert child.measure_twice(JOB, tmp_path, 64)[1].batch == 4


def test_precision_is_probed_once(jobs, tmp_path):
    child.measure_twice(replace(JOB, settings={"train": {"lr": 1e-3}}), tmp_path, 64)
    assert "precision" not in jobs[0].settings["train"]
    assert jobs[1].settings["train"] == {"lr": 1e-3, "precision": "bf16"}


@pytest.mark.parametrize(("live", "count"), [(False, 3), (True, 2)])
def test_the_first_step_is_measured_again_where_it_filled_a_cache(
    monkeypatch, tmp_path, live, count
):
    """Memory before the steps counts where the process does."""
    setups = iter([600, 900, 905])
    monkeypatch.setattr(
        child, "run", lambda job: reading(job.batch, setup=next(setups), flops=10**9)
    )
    first, _ = child.measure_twice(replace(JOB, live=live), tmp_path, 64)
    assert first.setup == (905 if count == 3 else 600)
