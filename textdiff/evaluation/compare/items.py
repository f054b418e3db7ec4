"""Values of single items in the files of evaluations, wherever they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textdiff.evaluation.guidance.sweep import Sweep
from textdiff.evaluation.held_out.scores import JudgedScores
from textdiff.evaluation.per_item import PerItem
from textdiff.evaluation.results import from_json
from textdiff.evaluation.unclip.result import RouteResult

REAL = "real"  # pictures that are the same ones for all models


def stored(content: Mapping[str, Any]) -> dict[str, PerItem]:
    """As most evaluations write them; none in files that lack them.

    Raises:
        ValueError: they are damaged.
    """
    found = from_json(dict[str, PerItem], content.get("per_item", {}), "per_item")
    return {group: each for group, each in found.items() if group != REAL}


def bounds_by_picture(content: Mapping[str, Any]) -> dict[str, PerItem]:
    """Bits/dim of each picture, by kind of captions. Raises as `stored`."""
    values = dict(content.get("per_picture", {}))
    names = from_json(list[str], values.pop("identifiers", []), "per_picture.identifiers")
    bounds = from_json(dict[str, list[float | None]], values, "per_picture")
    return {"pictures": PerItem(names, bounds)}


def rates_by_prompt(content: Mapping[str, Any]) -> dict[str, PerItem]:
    """R@1 of each prompt in each setting of a sweep, whose prompts and CLIPs that choose are known
    by their hashes, and each prompt by its number. Raises as `stored`."""
    return {
        setting.known_name: PerItem(
            [str(k) for k in range(len(setting.scores.samples.at_1))],
            {"held out R@1": list(setting.scores.samples.at_1)},
        )
        for setting in from_json(Sweep, content).settings
    }


def scores_of_settings(content: Mapping[str, Any]) -> dict[str, JudgedScores]:
    """Of the settings of a sweep, by the names of `rates_by_prompt`. Raises as `stored`."""
    return {each.known_name: each.scores for each in from_json(Sweep, content).settings}


def scores_of_routes(content: Mapping[str, Any]) -> dict[str, JudgedScores]:
    """Of the routes to pictures of unCLIP. Raises as `stored`."""
    routes = from_json(dict[str, RouteResult], content.get("routes", {}), "routes")
    return {name: each.pictures.scores for name, each in routes.items()}


def choosers(content: Mapping[str, Any]) -> dict[str, Any]:
    """Hashes of the CLIPs that choose in the settings of a sweep. Raises as `stored`."""
    choices = [setting.scales.choice for setting in from_json(Sweep, content).settings]
    return {"choosers": sorted({choice.weights for choice in choices if choice is not None})}
