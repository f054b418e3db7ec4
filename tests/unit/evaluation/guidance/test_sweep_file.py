"""The file of a sweep: keys, what comes back, files of others."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.helpers.sweeps import sweep, sweep_of_choices
from textdiff.errors import UsageError
from textdiff.evaluation.guidance.sweep_file import find_sweep, read_sweep, write_sweep
from textdiff.evaluation.results import to_json

INTERVAL = ["mean", "low", "high", "confidence", "resamples"]


@pytest.fixture
def path(tmp_path):
    write_sweep(tmp_path / "new" / "sweep.json", sweep())
    return tmp_path / "new" / "sweep.json"


def test_what_was_written_comes_back(path):
    assert to_json(read_sweep(path)) == to_json(sweep())
    assert read_sweep(path).protocol == sweep().protocol


def test_choices_and_costs_come_back(tmp_path):
    write_sweep(tmp_path / "sweep.json", sweep_of_choices())
    found, expected = read_sweep(tmp_path / "sweep.json"), sweep_of_choices()
    assert to_json(found) == to_json(expected)
    assert [each.scales for each in found.settings] == [each.scales for each in expected.settings]
    early = json.loads((tmp_path / "sweep.json").read_text())["settings"][2]
    assert early["evaluations"] == {"network": 12, "guide": 0, "judge": 6}
    assert early["choice"]["keep_after"] == [0.5]


def test_keys(path):
    document = json.loads(path.read_text())
    assert list(document) == [
        *("metric", "model", "guide", "evaluators", "data", "prompts", "reference", "chance"),
        *("sampling", "clip_sampling", "device", "versions", "real", "settings"),
    ]
    assert list(document["guide"]) == ["name", "weights", "image_size", "form", "judges"]
    setting = document["settings"][-1]
    assert list(setting) == [
        *("kind", "name", "guidance_scale", "clip_guidance_scale", "held_out", "evaluators"),
        *("samples", "guide", "guide - held_out", "seconds_per_picture", "differences"),
    ]
    assert list(setting["held_out"]) == ["R@1", "R@5", "CLIP score", "KID"]
    assert list(setting["held_out"]["R@1"]) == INTERVAL
    assert list(setting["evaluators"]["judge"]) == ["R@1", "R@5", "CLIP score", "KID", "Frechet"]
    assert list(setting["guide"]) == ["R@1", "R@5", "CLIP score"]
    assert list(setting["guide - held_out"]) == ["R@1", "R@5"]
    assert setting["samples"]["KID"][1] is None
    assert list(setting["differences"]) == ["unguided", "same CFG without CLIP"]
    assert list(setting["differences"]["unguided"]) == ["R@1", "KID"]


@pytest.mark.parametrize("key", ["samples", "differences"])
def test_a_setting_that_lacks_a_key_is_named(path, key):
    document = json.loads(path.read_text())
    del document["settings"][2][key]
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=rf"holds no sweep; .*settings\[2\] lacks '{key}'"):
        read_sweep(path)


def test_a_sweep_of_the_same_protocol_is_found(path, tmp_path):
    assert to_json(find_sweep(path, sweep().protocol)) == to_json(sweep())
    assert find_sweep(tmp_path / "absent.json", sweep().protocol) is None
    assert find_sweep(None, sweep().protocol) is None


def test_a_file_of_another_protocol_is_refused(path):
    other = replace(sweep().protocol, sampling={"seed": 1, "num_steps": 2})
    with pytest.raises(UsageError, match=r"another protocol: sampling\.seed is 0, not 1; name"):
        find_sweep(path, other)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("{}", "holds no sweep; give a file"), ("[]", "holds no sweep"), ("{", "read as JSON")],
)
def test_files_that_hold_no_sweep(path, text, complaint):
    path.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        read_sweep(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read as JSON"):
        read_sweep(tmp_path / "absent.json")
