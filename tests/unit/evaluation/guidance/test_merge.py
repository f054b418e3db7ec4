"""Several sweeps in one table: how CLIP guides is told apart, all else must be the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.sweeps import sweep
from textdiff.errors import UsageError
from textdiff.evaluation.guidance.merge import read_sweeps
from textdiff.evaluation.guidance.sweep import Sweep
from textdiff.evaluation.guidance.sweep_file import write_sweep
from textdiff.evaluation.results import to_json


@pytest.fixture
def merged(tmp_path):
    """Of sweeps written to one.json, two.json, three.json."""

    def read(*sweeps: Sweep) -> Sweep:
        paths = [tmp_path / f"{name}.json" for name in ("one", "two", "three")[: len(sweeps)]]
        for path, each in zip(paths, sweeps, strict=True):
            write_sweep(path, each)
        return read_sweeps(list(map(str, paths)))

    return read


def with_clip(found: Sweep, words: str) -> list[str]:
    return [each.name for each in found.settings if words in each.name]


def test_one_file_is_shown_as_it_is(merged):
    assert to_json(merged(sweep())) == to_json(sweep())


def test_forms_of_guidance_stand_side_by_side(merged):
    noised = sweep("def", "noised", "noised CLIP at x_t")
    found = merged(sweep(), noised)
    assert [each.kind for each in found.settings] == [
        *("none", "CFG", "CLIP, clean CLIP at x_0", "CFG + CLIP, clean CLIP at x_0"),
        *("CLIP, noised CLIP at x_t", "CFG + CLIP, noised CLIP at x_t"),
    ]
    assert found.guides == (sweep().protocol.guide, noised.protocol.guide)
    assert found.protocol == sweep().protocol


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (sweep(clip_normalise=True), "clip_normalise True"),
        (sweep(clip_guidance_every=2), "clip_guidance_every 2"),
        (sweep("def", "another"), "guide another"),
        (sweep("def"), "weights def"),
    ],
)
def test_settings_of_one_form_are_told_apart(merged, other, words):
    found = merged(sweep(), other)
    names = [each.name for each in found.settings]
    assert len(set(names)) == len(names) == 6  # two without CLIP, two of each with it
    assert with_clip(found, words) == [
        f"{name}, clean CLIP at x_0, {words}" for name in ("CLIP 2", "CFG 3 CLIP 2")
    ]


def test_weights_are_named_only_where_all_else_is_the_same(merged):
    found = merged(sweep(), sweep("def", "another"))
    assert with_clip(found, "weights") == []


@pytest.mark.parametrize(
    "alike", [sweep(guide="elsewhere"), sweep(clip_guidance_at="x_0"), sweep(clip_guide="clip")]
)
def test_files_in_which_clip_guides_alike(merged, alike):
    with pytest.raises(UsageError, match=r"two\.json CLIP guides as in .*same weights, same clip_"):
        merged(sweep(), alike)


def test_sweeps_that_do_not_compare(merged):
    protocol = replace(sweep().protocol, sampling={"seed": 1, "num_steps": 2})
    with pytest.raises(UsageError, match=r"do not compare: sampling\.seed is 0, not 1"):
        merged(sweep(), replace(sweep(), protocol=protocol))
