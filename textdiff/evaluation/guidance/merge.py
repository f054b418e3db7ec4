"""Sweeps of several files as one: they may differ in how CLIP guides, and in nothing else."""

from __future__ import annotations

import json
from typing import Any

from textdiff.errors import UsageError
from textdiff.evaluation.guidance.store import GUIDE_KEYS, RESULTS, difference, read

NAMED_OTHERWISE = ("clip_guide", "clip_guidance_at")  # by the guide's name and form


def read_tables(paths: list[str]) -> dict[str, Any]:
    """One sweep of several files, which differ in how CLIP guides; kinds with CLIP are told apart
    by that.

    Raises:
        UsageError: no such files, they differ in anything else, or CLIP guides alike in two.
    """
    sweeps = [read(path) for path in paths]
    first, *others = sweeps
    for path, other in zip(paths[1:], others, strict=True):
        for key in first.keys() - {*RESULTS, *GUIDE_KEYS}:
            if first[key] != other.get(key):
                raise UsageError(
                    f"{path} and {paths[0]} do not compare: "
                    f"{difference(key, first[key], other.get(key))}"
                )
    if others:
        refuse_alike(paths, sweeps)
        named = [told_apart(*pair) for pair in zip(sweeps, guide_labels(sweeps), strict=True)]
        merged: dict[str, dict[str, Any]] = {}
        for one in (one for sweep in named for one in sweep):
            merged.setdefault(one["name"], one)  # without CLIP, all files have the same
        first["guides"] = [each["guide"] for each in sweeps]
        first["settings"] = list(merged.values())
    return first


def how_guided(found: dict[str, Any]) -> dict[str, Any]:
    """All that guidance by CLIP depends on but its scale: form, weights, settings."""
    settings = {k: v for k, v in found["clip_sampling"].items() if k not in NAMED_OTHERWISE}
    guide = found["guide"]
    return {"form": guide["form"], "guide": guide["name"], **settings, "weights": guide["weights"]}


def refuse_alike(paths: list[str], sweeps: list[dict[str, Any]]) -> None:
    """Raises UsageError where CLIP guides alike in two sweeps, whatever its folder is called."""
    seen: dict[str, str] = {}
    for path, sweep in zip(paths, sweeps, strict=True):
        how = json.dumps({**how_guided(sweep), "guide": None})
        if how in seen:
            raise UsageError(
                f"in {path} CLIP guides as in {seen[how]}: same weights, same clip_ settings; "
                "give one of them, or draw all scales into one file by --json"
            )
        seen[how] = path


def guide_labels(sweeps: list[dict[str, Any]]) -> list[str]:
    """How CLIP guides in each: in words; where these are the same, also what differs, weights only
    if all else is the same."""
    ways = [how_guided(sweep) for sweep in sweeps]
    labels = [label(way, ways, list(way)[:-1]) for way in ways]
    if len(set(labels)) < len(labels):
        labels = [label(way, ways, list(way)) for way in ways]
    return labels


def label(way: dict[str, Any], ways: list[dict[str, Any]], keys: list[str]) -> str:
    """The form, and those of `keys` in which `ways` of the same form differ."""
    rivals = [other for other in ways if other["form"] == way["form"]]
    differing = [key for key in keys if any(other.get(key) != way.get(key) for other in rivals)]
    return ", ".join([way["form"], *(f"{key} {way.get(key)}" for key in differing)])


def told_apart(found: dict[str, Any], label: str) -> list[dict[str, Any]]:
    """The settings of a sweep, those with CLIP named by its label too."""
    return [
        {**one, "kind": f"{one['kind']}, {label}", "name": f"{one['name']}, {label}"}
        if one["clip_guidance_scale"]
        else one
        for one in found["settings"]
    ]
