"""What a user names, and what of it is loaded."""

from __future__ import annotations

import json
import shutil
from functools import reduce
from pathlib import Path

import pytest
import torch

from tests.helpers.damage import forget
from tests.helpers.extractors import write_dino, write_timm
from textdiff import errors
from textdiff.clip import ClipModel
from textdiff.data import DataConfig
from textdiff.errors import CheckpointError, UsageError
from textdiff.evaluation.features.named import load_extractor
from textdiff.evaluation.features.vision import side_of

IMAGES = torch.arange(2 * 3 * 20 * 30).view(2, 3, 20, 30).byte()


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    return write_dino(tmp_path_factory.mktemp("dino"))


@pytest.fixture(scope="module")
def timm_folder(tmp_path_factory):
    return write_timm(tmp_path_factory.mktemp("timm"))


def test_a_clip(tiny_clip):
    extractor, clip = load_extractor(str(tiny_clip), "cpu"), ClipModel.load(tiny_clip)
    protocol = extractor.protocol
    assert (protocol.kind, protocol.dim, protocol.weights) == ("clip", 32, clip.weights_hash())
    torch.testing.assert_close(extractor.encode(IMAGES), clip.encode_image(IMAGES).detach())
    assert extractor.prepared(DataConfig()).image_size == 16


def test_a_folder_of_transformers(dino):
    """As its own model gives it for pictures that are prepared by hand."""
    from transformers import Dinov2Model

    extractor = load_extractor(f"dinov2:{dino}", "cpu")
    protocol = extractor.protocol
    assert (protocol.kind, protocol.layer, protocol.dim) == ("transformers", "pooler_output", 32)
    pixels = torch.nn.functional.interpolate(
        IMAGES.float() / 255, (28, 42), mode="bicubic", antialias=True
    ).clamp(0, 1)[..., 7:35]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = (pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.no_grad():
        expected = Dinov2Model.from_pretrained(dino).eval()(pixels).pooler_output
    torch.testing.assert_close(extractor.encode(IMAGES), expected)
    assert load_extractor(str(dino), "cpu").protocol.same_as(protocol)  # by its files
    prepared = extractor.prepared(DataConfig())
    assert (prepared.image_size, prepared.resize, prepared.resample) == (28, "crop", "bicubic")
    assert extractor.prepared(DataConfig(image_size=64)).image_size == 64


@pytest.mark.parametrize(
    ("kind", "path", "value", "same"),
    [
        ("clip", ["model_cfg", "quick_gelu"], True, False),
        ("dino", ["hidden_act"], "relu", False),
        ("dino", ["num_attention_heads"], 4, False),
        ("dino", ["layer_norm_eps"], 1e-3, False),
        ("dino", ["transformers_version"], "4.0.0", True),
        ("timm", ["model_args", "num_heads"], 6, False),
        ("timm", ["num_features"], 192, True),
    ],
)
def test_equal_weights_in_another_architecture(
    dino, timm_folder, tiny_clip, tmp_path, kind, path, value, same
):
    folder = {"clip": tiny_clip, "dino": dino, "timm": timm_folder}[kind]
    edited = forget(Path(shutil.copytree(folder, tmp_path / "edited")))
    file = edited / ("open_clip_config.json" if kind == "clip" else "config.json")
    content = json.loads(file.read_text())
    *parents, last = path
    reduce(lambda part, key: part[key], parents, content)[last] = value
    file.write_text(json.dumps(content))
    one, other = (load_extractor(str(each), "cpu").protocol for each in (folder, edited))
    assert one.weights == other.weights and one.architecture
    assert one.same_as(other) == same


def test_weights_that_the_file_lacks_are_never_random(dino, tmp_path):
    from safetensors.torch import load_file, save_file

    weights = load_file(dino / "model.safetensors")
    del weights["layernorm.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_bytes((dino / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match=r"lack 'layernorm\.weight'"):
        load_extractor(str(tmp_path), "cpu")


def test_a_folder_of_timm(timm_folder):
    extractor = load_extractor(str(timm_folder), "cpu")
    assert (extractor.protocol.kind, extractor.protocol.dim) == ("timm", 192)
    assert extractor.protocol.preprocessing.std == (0.25, 0.25, 0.25)
    assert extractor.encode(IMAGES).shape == (2, 192)
    assert extractor.encode(IMAGES).std() > 0.1


@pytest.mark.parametrize(
    ("files", "name", "error", "cause"),
    [
        ({}, "{}", UsageError, "neither open_clip_config.json"),
        ({"config.json": {"model_type": "vit"}}, "{}", UsageError, r"no \.safetensors file"),
        (
            {"config.json": {"model_type": "vit"}, "m.safetensors": ""},
            "dinov2:{}",
            UsageError,
            "holds a vit, no dinov2",
        ),
        (
            {"config.json": {"x": 1}, "m.safetensors": ""},
            "{}",
            CheckpointError,
            "neither model_type",
        ),
        (
            {"config.json": {"architecture": "no_such"}, "model.safetensors": ""},
            "{}",
            CheckpointError,
            "timm cannot build",
        ),
        (
            {"config.json": [1], "m.safetensors": ""},
            "{}",
            CheckpointError,
            "is no JSON object",
        ),
    ],
)
def test_folders_of_no_use(tmp_path, files, name, error, cause):
    for file, content in files.items():
        (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(error, match=cause):
        load_extractor(name.format(tmp_path), "cpu")


def test_no_such_folder():
    with pytest.raises(CheckpointError, match="no CLIP at 'no-such'"):
        load_extractor("no-such", "cpu")


def test_inception_without_its_package(monkeypatch):
    monkeypatch.setitem(errors.EXTRAS, "eval", {"no_such_module": "torch-fidelity"})
    with pytest.raises(UsageError, match="pip install torch-fidelity"):
        load_extractor("inception", "cpu")


@pytest.mark.parametrize(
    "size", [224, {"shortest_edge": 224}, {"height": 224, "width": 224}], ids=str
)
def test_sides_as_they_are_stated(size, tmp_path):
    assert side_of(size, tmp_path) == 224


@pytest.mark.parametrize("size", [None, {}, {"height": 1, "width": 2}, "224"], ids=str)
def test_no_side(size, tmp_path):
    with pytest.raises(CheckpointError, match="states the side"):
        side_of(size, tmp_path)


def edited(folder, tmp_path, file, change):
    """A copy of a model folder, with the file changed: new bytes, or other values by key."""
    copy = shutil.copytree(folder, tmp_path / "edited")
    if isinstance(change, bytes):
        (copy / file).write_bytes(change)
    else:
        content = json.loads((copy / file).read_text()) if (copy / file).is_file() else {}
        (copy / file).write_text(json.dumps(content | change))
    return copy


BYTES = [b'{"crop_size": 28', b"\xff\xfe", b"[1]", b"", b"[" * 100_000]


@pytest.mark.parametrize(
    "change",
    [
        *BYTES,
        {"crop_size": "28"},
        {"crop_size": -1},
        {"crop_size": 10**9},
        {"crop_size": 13},
        {"size": {"height": [28], "width": 28}},
        {"resample": [3]},
        {"image_mean": 0.5},
        {"image_mean": [0.5, 0.5]},
        {"image_mean": [0.5, None, 0.5]},
        {"image_std": ["a", "b", "c"]},
        {"image_std": [0.5, 0, 0.5]},
        {"image_std": [0.5, float("nan"), 0.5]},
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_damaged_preprocessor_config(dino, tmp_path, change):
    folder = edited(dino, tmp_path, "preprocessor_config.json", change)
    with pytest.raises(CheckpointError, match=str(folder)) as caught:
        load_extractor(str(folder), "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        *((content, r"config\.json") for content in BYTES),
        ({"architecture": ["a"]}, r"it has no \['a'\]"),
        ({"architecture": "hf_hub:someone/model"}, "it has no 'hf_hub:someone/model'"),
        ({"model_args": "abc"}, "model_args is 'abc'; it should be a JSON object"),
        ({"model_args": [1]}, r"model_args is \[1\]"),
        ({"model_args": {"img_size": "x"}}, "timm cannot build"),
        ({"model_args": {"no_such": 1}}, "timm cannot build"),
        ({"model_args": {"checkpoint_path": "/tmp/x.pth"}}, "has 'checkpoint_path'"),
        ({"num_classes": "many"}, "timm cannot build"),
        ({"pretrained_cfg": 3}, "pretrained_cfg is 3"),
        ({"pretrained_cfg": {"input_size": 32}}, "pretrained_cfg"),
        ({"pretrained_cfg": {"input_size": [3, 32, 48]}}, r"should be \[3, side, side\]"),
        ({"pretrained_cfg": {"input_size": [3, 64, 64]}}, "take pictures of side 64"),
        ({"pretrained_cfg": {"input_size": [3, 32, 32], "mean": 1}}, "mean is 1; .* three num"),
        ({"pretrained_cfg": {"input_size": [3, 32, 32], "std": [1, 1, 0]}}, "three positive num"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_damaged_config_of_timm(timm_folder, tmp_path, change, cause):
    folder = edited(timm_folder, tmp_path, "config.json", change)
    with pytest.raises(CheckpointError, match=cause) as caught:
        load_extractor(str(folder), "cpu")
    assert str(folder / "config.json") in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [{"hidden_size": "wide"}, {"image_size": None}, {"model_type": "no_such"}, {"patch_size": 0}],
    ids=str,
)
def test_a_damaged_config_of_transformers(dino, tmp_path, change):
    folder = edited(dino, tmp_path, "config.json", change)
    with pytest.raises(CheckpointError, match=str(folder)) as caught:
        load_extractor(str(folder), "cpu")
    assert "\n" not in str(caught.value)
