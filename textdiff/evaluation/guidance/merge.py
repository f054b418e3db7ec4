"""Sweeps of several files as one: they may differ in how CLIP guides, and in nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from textdiff.errors import UsageError
from textdiff.evaluation.guidance.sweep import SettingResult, Sweep
from textdiff.evaluation.guidance.sweep_file import first_difference, read_sweep
from textdiff.evaluation.results import to_json

IN_OTHER_WORDS = ("clip_guide", "clip_guidance_at")  # the guide's name and form say these
Manner = dict[str, object]  # in which CLIP guides: all that it depends on but its scale


def read_sweeps(paths: Sequence[str]) -> Sweep:
    """One sweep of several files, in which CLIP guides in different manners; kinds and names of
    settings with CLIP then say in which.

    Raises:
        UsageError: no such files, they differ in anything else, or CLIP guides alike in two.
    """
    sweeps = [read_sweep(path) for path in paths]
    if len(sweeps) == 1:
        return sweeps[0]
    check_comparable(paths, sweeps)
    check_manners_differ(paths, sweeps)
    labelled = [label_settings(*pair) for pair in zip(sweeps, manner_labels(sweeps), strict=True)]
    by_name: dict[str, SettingResult] = {}
    for setting in (setting for settings in labelled for setting in settings):
        by_name.setdefault(setting.name, setting)  # without CLIP, all files have the same
    guides = tuple(sweep.protocol.guide for sweep in sweeps)
    return replace(sweeps[0], settings=tuple(by_name.values()), guides=guides)


def check_comparable(paths: Sequence[str], sweeps: Sequence[Sweep]) -> None:
    """Raises UsageError where protocols differ in more than how CLIP guides."""
    first = sweeps[0].protocol
    for path, sweep in zip(paths[1:], sweeps[1:], strict=True):
        other = replace(sweep.protocol, guide=first.guide, clip_sampling=first.clip_sampling)
        what = first_difference(to_json(first), to_json(other))
        if what:
            raise UsageError(f"{path} and {paths[0]} do not compare: {what}")


def check_manners_differ(paths: Sequence[str], sweeps: Sequence[Sweep]) -> None:
    """Raises UsageError where CLIP guides alike in two sweeps, whatever its folder is called."""
    path_of: dict[str, str] = {}
    for path, sweep in zip(paths, sweeps, strict=True):
        manner = json.dumps({**manner_of(sweep), "guide": None})
        if manner in path_of:
            raise UsageError(
                f"in {path} CLIP guides as in {path_of[manner]}: same weights, same clip_ "
                "settings; give one of them, or draw all scales into one file by --json"
            )
        path_of[manner] = path


def manner_of(sweep: Sweep) -> Manner:
    """Form, name of the guide, settings, weights, in this order."""
    guide, sampling = sweep.protocol.guide, sweep.protocol.clip_sampling
    settings = {key: value for key, value in sampling.items() if key not in IN_OTHER_WORDS}
    named = {"form": guide.form, "guide": guide.clip.name}
    return {**named, **settings, "weights": guide.clip.weights}


def manner_labels(sweeps: Sequence[Sweep]) -> list[str]:
    """The form of each; where several have the same, also what differs, weights only if all else
    is the same."""
    manners = [manner_of(sweep) for sweep in sweeps]
    labels = [label(each, manners, list(each)[:-1]) for each in manners]
    if len(set(labels)) < len(labels):
        labels = [label(each, manners, list(each)) for each in manners]
    return labels


def label(manner: Manner, manners: Sequence[Manner], keys: Sequence[str]) -> str:
    """The form, and those of `keys` in which `manners` of the same form differ."""
    rivals = [other for other in manners if other["form"] == manner["form"]]
    differing = [k for k in keys if any(other.get(k) != manner.get(k) for other in rivals)]
    return ", ".join([str(manner["form"]), *(f"{key} {manner.get(key)}" for key in differing)])


def label_settings(sweep: Sweep, manner: str) -> list[SettingResult]:
    """The settings of a sweep; kinds and names of those with CLIP say the manner too."""
    return [
        replace(each, kind=f"{each.kind}, {manner}", name=f"{each.name}, {manner}")
        if each.scales.clip
        else each
        for each in sweep.settings
    ]
