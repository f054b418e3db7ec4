"""The loader's share of the time, and what is said of it."""

import json
import time
from types import SimpleNamespace

import pytest

from textdiff.training.config import TrainConfig
from textdiff.training.meter import Meter
from textdiff.training.progress import Progress
from textdiff.training.run_folder import RunFolder


@pytest.fixture
def train(tmp_path):
    """Eight steps whose pictures take some seconds each: the lines said, and those logged."""

    def run(loading: float, computing: float) -> tuple[list[str], list[dict]]:
        lines = []
        accelerator = SimpleNamespace(
            num_processes=1, is_main_process=True, device="cpu", print=lines.append
        )
        progress = Progress()
        progress.started = time.monotonic()
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
                time.sleep(loading)
                yield step

        with meter:
            for _ in meter.loading(steps()):
                time.sleep(computing)
                progress.step += 1
                meter.add({"loss": 1.0}, flush=False)
        return lines, list(map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines()))

    return run


def test_a_slow_loader_is_named_once_after_its_workers_have_started(train):
    lines, logged = train(loading=0.03, computing=0.01)
    assert len(lines) == 1 and lines[0].startswith("slow: 0.")
    assert all(0.5 < row["loader_share"] < 1 for row in logged) and len(logged) == 4


def test_a_quick_loader_is_not_mentioned(train):
    lines, logged = train(loading=0, computing=0.03)
    assert lines == [] and logged[-1]["loader_share"] < 0.05
