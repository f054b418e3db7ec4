"""The older names of `protocol`, `results` and `tables`, until nothing asks for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textdiff.evaluation import protocol, results
from textdiff.evaluation.protocol import check_image_size, versions
from textdiff.evaluation.tables import print_table as show
from textdiff.metrics.bootstrap import estimate_mean

if TYPE_CHECKING:
    from textdiff.pipeline import TextToImage

__all__ = ["check_image_size", "show", "versions"]


def describe_clip(name, clip) -> dict[str, Any]:
    return dataclasses.asdict(protocol.clip_protocol(name, clip))


def describe_data(data) -> dict[str, Any]:
    return dataclasses.asdict(protocol.data_protocol(data))


def describe_model(name, pipe) -> dict[str, Any]:
    return dataclasses.asdict(protocol.model_protocol(name, pipe))


def device_name(pipe: TextToImage) -> str:
    return protocol.device_name(pipe.device)


def interval(values, image_of_value=None) -> dict[str, float]:
    return results.to_json(estimate_mean(values, image_of_value))


def as_json(found) -> dict[str, float]:
    return results.to_json(found)


def write_json(path: str | Path | None, result: dict[str, Any]) -> None:
    results.write_result(path, result)
