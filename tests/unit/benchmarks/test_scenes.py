"""The benchmark of scenes: every part is timed, small."""

from __future__ import annotations

import importlib

from tests.helpers.paths import ROOT


def test_every_part_is_timed(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    speed = importlib.import_module("scenes").measure("pairs", 22, objects=2, image_size=24)
    assert speed.scenes == 22 + 20 + 8
    assert min(speed.facts, speed.compositing, speed.scenes_per_second) > 0
    assert speed.num_sprites == 2 * 11 * 3
