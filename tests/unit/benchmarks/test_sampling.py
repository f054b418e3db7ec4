"""The sampling benchmark: what it asks for, diffusers' side, the search, and all of it, small."""

from __future__ import annotations

import importlib
import json

import pytest
import torch

from tests.helpers.paths import ROOT
from tests.helpers.unets import remade
from textdiff.types import Conditioning

PROMPTS = ["red circle", "green cross"]


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.fixture
def plain(pipe):
    """Of diffusers' layout, with random weights."""
    return remade(pipe, pooled_dim=None, patch_size=1)


@pytest.fixture
def theirs(module, plain):
    prompts, empty = plain.clip.conditioning(PROMPTS), plain.clip.conditioning([""])
    text = Conditioning.cat([empty.repeat(len(PROMPTS)), prompts])
    return module("diffusers_sampling").DiffusersSampling(plain, text, 2.5)


def test_short_leaves_what_was_said(module):
    parse = module("sampling").arguments
    short = parse(["--short", "--steps", "25"])
    assert (short.steps, short.rounds, short.gain_steps) == (25, 3, 3)
    assert (parse(["--short"]).steps, parse([]).steps) == (10, 50)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--guidance-scale", "1"], "ours would skip the half"),
        (["--rounds", "1"], "--rounds takes 2 or more"),
        (["--other-seeds", "0"], "--other-seeds 1 or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(module, capsys, flags, expected):
    with pytest.raises(SystemExit):
        module("sampling").arguments(flags)
    assert expected in capsys.readouterr().err


def test_quartiles_lie_within_what_was_measured(module):
    assert module("rounds").spread([1.0, 2.0]) == {"low": 1.25, "median": 1.5, "high": 1.75}


@pytest.mark.slow
def test_diffusers_solvers_come_nearer_with_more_steps(module, plain, theirs):
    """To our DDIM of all steps, with every solver and grid that the search tries."""
    modules, rmse = module("diffusers_sampling"), module("rounds").rmse
    usual = {"guidance_scale": 2.5, "seed": 0}
    reference = torch.stack(
        [
            torch.tensor(list(picture.getdata()), dtype=torch.uint8).T.reshape(3, 16, 16)
            for picture in plain(PROMPTS, num_steps=100, **usual)
        ]
    )
    assert rmse(theirs.draw(100), reference) < 0.5
    for kind in modules.KINDS:
        few, many = (rmse(theirs.draw(steps, **kind), reference) for steps in (4, 20))
        assert many < few, kind
        assert many < 8, kind


def test_diffusers_networks_differ_by_rounding_alone(module, theirs):
    modules, rmse = module("diffusers_sampling"), module("rounds").rmse
    exact = theirs.draw(5)
    assert rmse(theirs.draw(5, modules.PLAIN), exact) < 0.5
    for name in (modules.ROUGH, modules.AUTOCAST):
        assert 0 < rmse(theirs.draw(5, name), exact) < 5


def gray(level: float) -> torch.Tensor:
    return torch.full((1, 1, 1, 1), level)


def fake_sides(module, luck: float = 0.0):
    """Both are 60 / steps off, plus what rounding adds; `luck`: less by this with seed 0."""

    def draw(num_steps: int, seed: int = 0, rough: float = 0.0, sampler: str = "") -> torch.Tensor:
        better = {"good": 2.0}.get(sampler, 1.0)
        error = 60 / num_steps / better + rough - (luck if seed == 0 and sampler else 0.0)
        return gray(100 + (error if num_steps < 1000 else 0))

    side = module("sampling_quality").Side
    kinds = [{"sampler": "good"}, {"sampler": "fair"}]
    return [side(name, draw, kinds, [{"rough": 0.2}]) for name in ("ours", "diffusers")]


def test_search_finds_the_fewest_steps_of_each_kind_then_of_the_best_made_rougher(module):
    quality = module("sampling_quality")
    ours, theirs = fake_sides(module)
    goal = quality.Goal.of(0, ours, theirs, 20, 1000)
    assert goal.allowed == pytest.approx(3)
    assert [row["settings"] for row in quality.as_near(ours, goal)] == [
        {"sampler": "good", "num_steps": 10},
        {"sampler": "fair", "num_steps": 20},
        {"sampler": "good", "num_steps": 12, "rough": 0.2},
    ]


def test_luck_of_the_searched_seed_is_not_confirmed(module):
    quality = module("sampling_quality")
    for luck, expected in ((0.0, True), (2.0, False)):
        found = quality.same_quality(*fake_sides(module, luck), 20, 1000, 2, 2)
        assert len(found["finalists"]) == 6
        assert {row["confirmed"] for row in found["finalists"]} == {expected}
        best = found["best_of_diffusers"]
        assert best.startswith("diffusers, sampler") if expected else best == quality.DDIM
        measure = [row for row in found["finalists"] if quality.name_of(row) == best]
        assert all(row["ratio_to_best"]["median"] == 1 for row in measure)


@pytest.mark.slow
def test_the_whole_benchmark(module, plain, tmp_path, monkeypatch, capsys):
    plain.save(tmp_path / "model")
    monkeypatch.setattr(module("sampling_quality"), "STEPS", (8, 16))
    flags = ["--model", str(tmp_path / "model"), "--prompts", *PROMPTS, "--images", "2"]
    flags += ["--steps", "5", "--reference", "50", "--gain-steps", "2", "--rounds", "2"]
    module("sampling").main([*flags, "--other-seeds", "1", "--json", str(tmp_path / "a.json")])
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["protocol"]["device"] == "cpu"
    gains = {row["name"]: row["rmse"] for row in found["own gain"]}
    assert all(error < 0.5 for name, error in gains.items() if name.startswith("without"))
    sides = {row["side"] for row in found["same quality"]["finalists"]}
    assert sides == {"ours", "diffusers"}
    assert "Best of diffusers" in capsys.readouterr().out
