"""What is measured of reconstructions, against the numbers written out."""

from __future__ import annotations

import math

import pytest
import torch

from tests.helpers.vaes import tiny_vae
from textdiff.clip import ClipModel
from textdiff.data import DataConfig, open_data
from textdiff.errors import DataError
from textdiff.evaluation.features.cached import clip_features
from textdiff.evaluation.vae import measure
from textdiff.evaluation.vae.measure import check_judged, measure_vae, reconstruct
from textdiff.metrics.latents import measure_latents
from textdiff.pictures import to_float, to_uint8


@pytest.fixture(scope="module")
def data(shapes):
    config = DataConfig(source=str(shapes), image_size=16, min_side=4, max_bad_fraction=0.5)
    return open_data(config, "all")


@pytest.fixture(scope="module")
def done(data):
    return reconstruct(tiny_vae(), data, None, batch_size=5)


def test_pictures_are_decoded_from_the_posteriors_mean(data, done):
    vae = tiny_vae()
    used, pictures = data.usable(range(len(data)))
    assert torch.equal(done.pictures, pictures)
    assert done.names == [data.identifiers[k] for k in used]
    with torch.no_grad():
        again = to_uint8(vae.decode(vae.moments(to_float(pictures)).mean))
    assert (done.again.int() - again.int()).abs().max() <= 1  # of batches of another size


def test_channels_are_those_of_the_statistics(data, done):
    found, want = measure_vae(done, {}), measure_latents(tiny_vae(), data)
    for k, channel in enumerate(found.channels):
        mean, std = want.mean[k].item(), want.std[k].item()
        assert channel.mean.value == pytest.approx(mean, rel=1e-4, abs=1e-6)
        assert channel.std.value == pytest.approx(std, rel=0.01)
        distance = (mean**2 + std**2 - 1) / 2 - math.log(std)
        assert channel.distance.value == pytest.approx(distance, rel=0.05, abs=1e-3)
        assert channel.std.low <= channel.std.value <= channel.std.high
    bits = sum(channel.kl_bits.value for channel in found.channels)
    assert found.kl_bits.value == pytest.approx(bits)


def test_bits_are_the_kl_of_a_picture(data, done):
    _, pictures = data.usable([0])
    with torch.no_grad():
        kl = tiny_vae().moments(to_float(pictures)).kl().item()
    found = measure_vae(done, {}).per_item["pictures"]
    assert found.values["kl_bits"][0] == pytest.approx(kl / math.log(2), rel=1e-5)


def test_a_judge_sees_perfect_reconstructions_as_the_originals(done, tiny_clip):
    from dataclasses import replace

    clip = {"judge": clip_features(ClipModel.load(tiny_clip).freeze())}
    perfect = measure_vae(replace(done, again=done.pictures), clip).judged["judge"]
    assert perfect.kid.value == pytest.approx(0, abs=1e-9)
    assert perfect.difference.value == perfect.difference.low == perfect.difference.high == 0
    assert perfect.originals.value == perfect.reconstructions.value
    worse = measure_vae(done, clip).judged["judge"]
    assert worse.kid.value > perfect.kid.value


def test_without_captions_there_is_no_search(done, tiny_clip):
    from dataclasses import replace

    clip = {"judge": clip_features(ClipModel.load(tiny_clip).freeze())}
    nameless = replace(done, captions=[[""] for _ in done.captions])
    assert measure_vae(nameless, clip).judged["judge"].originals is None


def test_more_pictures_than_judges_compare_are_refused_beforehand(data, monkeypatch):
    monkeypatch.setattr(measure, "LARGEST", 5)
    check_judged(data, 5)
    with pytest.raises(DataError, match="judges compare 5 reconstructions at most, not 16; give"):
        check_judged(data, None)


def test_two_pictures_are_needed(data):
    with pytest.raises(DataError, match="1 picture to reconstruct"):
        reconstruct(tiny_vae(), data, 1, batch_size=5)
