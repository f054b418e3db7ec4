"""Exact numbers of tests/golden."""

from __future__ import annotations

import json

from tests.helpers.paths import ROOT


def golden(name: str) -> dict:
    """A file of tests/golden, its cases by id."""
    content = json.loads((ROOT / "tests" / "golden" / f"{name}.json").read_text())
    return {**content, "by_id": {case["id"]: case for case in content["cases"]}}


def schedule_of(inputs: dict):
    """The NoiseSchedule that a golden case names."""
    from textdiff.diffusion import NoiseSchedule, ScheduleConfig

    config = ScheduleConfig(name=inputs["schedule"], num_timesteps=inputs["num_train_timesteps"])
    return NoiseSchedule.from_config(config)
