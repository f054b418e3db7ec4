"""The loader's share of the time, and what is said of it."""

import json
from types import SimpleNamespace

import pytest

from textdiff.training import meter as meter_file
from textdiff.training.config import TrainConfig
from textdiff.training.meter import Meter
from textdiff.training.progress import Progress
from textdiff.training.run_folder import RunFolder


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Eight steps with the seconds that loading and computing take: lines said, lines logged."""
    now = [0.0]
    monkeypatch.setattr(meter_file, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def wait(seconds):
        now[0] += seconds

    def run(loading: float, computing: float) -> tuple[list[str], list[dict]]:
        lines = []
        accelerator = SimpleNamespace(
            num_processes=1, is_main_process=True, device="cpu", print=lines.append
        )
        progress = Progress()
        meter = Meter(
            name="test",
            config=TrainConfig(log_every=2, steps=8),
            progress=progress,
            run=RunFolder(tmp_path),
            accelerator=accelerator,
            slow_loading=lambda share: f"slow: {share:.1f}",
        )

        def steps():
            for step in range(8):
                wait(loading)
                yield step

        with meter:
            for _ in meter.loading(steps()):
                wait(computing)
                progress.step += 1
                meter.add({"loss": 1.0}, flush=False)
        return lines, list(map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines()))

    return run


def test_a_slow_loader_is_named_once_after_its_workers_have_started(train):
    lines, logged = train(loading=3, computing=1)
    assert lines == ["slow: 0.8"]
    assert [row["loader_share"] for row in logged] == [0.75] * 4


def test_a_quick_loader_is_not_mentioned(train):
    lines, logged = train(loading=0.05, computing=1)
    assert lines == [] and logged[-1]["loader_share"] == pytest.approx(0.05 / 1.05)
