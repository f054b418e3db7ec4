"""Two processes give the features of one, to the bit (gloo)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.helpers.two_processes import run_in_two_processes
from textdiff.commands.cli import run
from textdiff.evaluation.features.feature_set import read_features
from textdiff.evaluation.features.ranks import ALONE, Ranks


def test_alone_nothing_is_exchanged():
    assert ALONE.is_main
    assert ALONE.owns(3)
    assert ALONE.device("cuda") == "cuda"
    assert ALONE.main_value("a") == "a"
    assert ALONE.merged({1: "bad"}) == {1: "bad"}


def test_each_rank_has_a_gpu_of_its_own():
    assert Ranks(5, 8, local=1).device("cuda") == "cuda:1"
    assert Ranks(5, 8, local=1).device("cpu") == "cpu"


@pytest.mark.slow
def test_two_processes_give_the_features_and_numbers_of_one(
    tiny_clip, shapes, tmp_path, monkeypatch
):
    """Of 16 pictures in chunks of 3, one of them of no use."""
    monkeypatch.setenv("TEXTDIFF_CACHE", str(tmp_path / "cache"))
    copy = tmp_path / "shapes"
    copy.mkdir()
    for file in shapes.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "red-cross.png").write_bytes(b"no image")

    def job(out: Path, cache: str) -> list[str]:
        flags = ["--features", tiny_clip, "--data", copy, "--data.min-side", "4", "--out", out]
        flags += ["--data.max-bad-fraction", "0.1", "--feature-cache", cache, "--batch-size", "3"]
        return ["features", *map(str, flags)]

    def search(out: Path) -> list[str]:
        flags = ["--clip", tiny_clip, "--data", shapes, "--data.min-side", "4", "--json", out]
        return ["retrieval", *map(str, flags), "--split", "all"]

    run(job(tmp_path / "one.safetensors", "off"))
    run([*search(tmp_path / "one.json"), "--feature-cache", "off"])
    jobs = [job(tmp_path / f"{name}.safetensors", "auto") for name in ("two", "again")]
    jobs.append(search(tmp_path / "two.json"))
    run_in_two_processes(jobs, tmp_path)
    one, two, again = (
        read_features(tmp_path / f"{name}.safetensors") for name in ("one", "two", "again")
    )
    assert len(one) == 15
    for other in (two, again):
        assert torch.equal(one.features, other.features)
        assert (one.positions, one.captions) == (other.positions, other.captions)
        assert one.bad == other.bad != {}
    searched = [(tmp_path / f"{name}.json").read_text() for name in ("one", "two")]
    assert searched[0] == searched[1]
