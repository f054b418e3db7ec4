"""Sweeps of several files as one: they may differ in how CLIP guides, and in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from textdiff.errors import UsageError
from textdiff.evaluation.guidance.sweep import SettingResult, Sweep
from textdiff.evaluation.guidance.sweep_file import first_difference, read_sweep
from textdiff.evaluation.results import to_json

IN_OTHER_WORDS = ("clip_guide", "clip_guidance_at")  # the guide's name and form say these


@dataclass(frozen=True)
class GuideManner:
    """In which manner CLIP guides: all that it depends on but its scale.

    form: in words. guide: its folder. settings: of guidance by CLIP. weights: their hash.
    """

    form: str
    guide: str
    settings: dict[str, object]
    weights: str

    def named(self) -> dict[str, object]:
        """What may be said of it beside its form, the telling first."""
        return {"guide": self.guide, **self.settings, "weights": self.weights}


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
    manners = [replace(manner_of(sweep), guide="") for sweep in sweeps]
    for k, (path, manner) in enumerate(zip(paths, manners, strict=True)):
        if manner in manners[:k]:
            raise UsageError(
                f"in {path} CLIP guides as in {paths[manners.index(manner)]}: same weights, same "
                "clip_ settings; give one of them, or draw all scales into one file by --json"
            )


def manner_of(sweep: Sweep) -> GuideManner:
    guide, sampling = sweep.protocol.guide, sweep.protocol.clip_sampling
    settings = {key: value for key, value in sampling.items() if key not in IN_OTHER_WORDS}
    return GuideManner(guide.form, guide.clip.name, settings, guide.clip.weights)


def manner_labels(sweeps: Sequence[Sweep]) -> list[str]:
    """The form of each; where several have the same, also what differs, weights only if all else
    is the same."""
    manners = [manner_of(sweep) for sweep in sweeps]
    labels = [label(each, manners, by_weights=False) for each in manners]
    if len(set(labels)) < len(labels):
        labels = [label(each, manners, by_weights=True) for each in manners]
    return labels


def label(manner: GuideManner, manners: Sequence[GuideManner], *, by_weights: bool) -> str:
    """The form, and in what `manners` of the same form differ; `by_weights`: also in weights."""
    rivals = [other.named() for other in manners if other.form == manner.form]
    differing = [
        f"{name} {value}"
        for name, value in manner.named().items()
        if (by_weights or name != "weights") and any(r.get(name) != value for r in rivals)
    ]
    return ", ".join([manner.form, *differing])


def label_settings(sweep: Sweep, manner: str) -> list[SettingResult]:
    """The settings of a sweep; kinds and names of those with CLIP say the manner too."""
    return [
        replace(each, kind=f"{each.kind}, {manner}", name=f"{each.name}, {manner}")
        if each.scales.clip
        else each
        for each in sweep.settings
    ]
