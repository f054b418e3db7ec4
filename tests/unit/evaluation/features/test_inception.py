"""The Inception network: where its weights are looked for, and that nothing else is taken."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.inception import random_weights
from textdiff.data import DataConfig
from textdiff.errors import CheckpointError, UsageError
from textdiff.evaluation.features.inception import FILE, InceptionExtractor, inception_of
from textdiff.evaluation.features.named import load_extractor

fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def test_missing_weights_say_what_to_put_where(hub, monkeypatch):
    def download(*args, **kwargs):
        raise AssertionError("a download was tried")

    monkeypatch.setattr(fidelity, "load_state_dict_from_url", download)
    with pytest.raises(UsageError) as raised:
        load_extractor("inception", "cpu")
    assert f"not at {hub / FILE}: put {FILE} there (from https://github.com" in str(raised.value)


def test_a_named_file_that_is_missing(tmp_path):
    with pytest.raises(UsageError, match=r"not at .*no-such\.pth"):
        load_extractor(f"inception:{tmp_path / 'no-such.pth'}", "cpu")


def test_weights_of_another_network(tmp_path):
    torch.save({"w": torch.zeros(2)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="not hold the weights of the Inception network"):
        inception_of(tmp_path / "w.pth")


def test_pictures_are_of_the_size_of_the_network_unless_another_is_asked_for():
    extractor = InceptionExtractor("inception", torch.nn.Identity(), "cpu")
    assert extractor.prepared(DataConfig()).image_size == 299
    assert extractor.prepared(DataConfig(image_size=32)).image_size == 32
    assert extractor.prepared(DataConfig()).resample == DataConfig().resample


@pytest.mark.slow
def test_features_are_those_of_torch_fidelity(hub, tmp_path):
    """Random weights in the place where people keep the real ones, of a picture smaller and one
    larger than the network's input; and the same weights as safetensors."""
    from safetensors.torch import save_file

    weights = random_weights()
    hub.mkdir(parents=True)
    torch.save(weights, hub / FILE)
    extractor = load_extractor("inception", "cpu")
    assert (extractor.protocol.dim, extractor.protocol.kind) == (2048, "inception")
    assert extractor.protocol.architecture
    images = torch.randint(0, 256, (1, 3, 40, 50), generator=torch.manual_seed(1)).byte()
    reference = fidelity.FeatureExtractorInceptionV3("i", ["2048"], str(hub / FILE))
    assert torch.equal(extractor.encode(images), reference(images)[0])
    save_file(weights, tmp_path / "weights.safetensors")
    again = load_extractor(f"inception:{tmp_path / 'weights.safetensors'}", "cpu")
    assert again.protocol.same_as(extractor.protocol)
