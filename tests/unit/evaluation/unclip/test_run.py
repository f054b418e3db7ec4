"""All routes of a decoder with fresh weights, on scenes whose facts are known."""

from __future__ import annotations

import pytest

from tests.helpers.small_scenes import small_scenes
from tests.helpers.unets import remade
from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.data import open_data
from textdiff.evaluation.held_out import measure as held_out
from textdiff.evaluation.pictures import real_pictures
from textdiff.evaluation.unclip.routes import OWN_EMBEDDING, TEXT_CONDITIONAL, TEXT_EMBEDDING
from textdiff.evaluation.unclip.run import compare_routes, facts_of
from textdiff.pipeline.config import SamplingConfig


def test_routes_of_scenes(tiny_decoder, tiny_run, other_clip, tmp_path, monkeypatch):
    monkeypatch.setattr(held_out, "FRECHET_RESAMPLES", 5)
    monkeypatch.setattr(held_out, "RESAMPLES", 50)
    data = open_data(small_scenes(tmp_path), "train")
    decoder, model = (
        remade(TextToImage.load(run, "cpu"), image_size=24) for run in (tiny_decoder, tiny_run)
    )
    real = real_pictures(data, 3, 0, decoder)
    compared = compare_routes(
        decoder,
        real,
        SamplingConfig(num_steps=2),
        model=model,
        priors=[],
        judges={"judge": ClipModel.load(other_clip)},
        reference=data.images(range(12)),
        facts=facts_of(data, real.prompts),
        num_images=2,
    )
    found = compared.result
    assert list(found.routes) == [TEXT_CONDITIONAL, TEXT_EMBEDDING, OWN_EMBEDDING]
    assert found.real.aspects["both"].rate.value == 1
    for name, route in found.routes.items():
        assert route.pictures.aspects["both"].pictures == len(compared.pictures[name]) == 6
        assert route.differences.keys() == {TEXT_CONDITIONAL, TEXT_EMBEDDING} - {name}
        assert len(found.per_item[name].owners) == 6
    for best in found.best.values():
        assert {best.route, *best.leads} == {TEXT_CONDITIONAL, TEXT_EMBEDDING}  # no ceiling
    assert found.chance.at_1 == pytest.approx(1 / 3)
