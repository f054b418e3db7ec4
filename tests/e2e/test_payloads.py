"""Payloads in every slot of what we read: none runs, and what is said of each is one line."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.damage import accept, forget
from tests.helpers.indexes import build, opened
from tests.helpers.payloads import Canary
from textdiff import TextToImage, checkpoint
from textdiff.checkpoint import load_foreign_tensors
from textdiff.clip import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.commands.cli import run
from textdiff.config import read_yaml
from textdiff.data import DataConfig, open_data
from textdiff.data.embeddings import read_embeddings
from textdiff.data.row_file import IMAGES, mapped
from textdiff.errors import TextdiffError
from textdiff.evaluation.features.inception import inception_of
from textdiff.interop import unet_from_diffusers
from textdiff.manifests import MANIFEST, write_manifest
from textdiff.pipeline.prior import Prior
from textdiff.retrieval.index import Index

KINDS = ("pickle 0", "pickle 2", "pickle 4", "torch zip", "torch legacy")


@pytest.fixture
def canary(tmp_path) -> Iterator[Canary]:
    """After the test: no payload has run."""
    canary = Canary(tmp_path / "mark")
    yield canary
    assert not canary.sang


def refused(read: Callable[[], object]) -> str:
    """What is said, in one line."""
    with pytest.raises(TextdiffError) as error:
        read()
    assert "\n" not in " ".join(str(error.value).split())
    return str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_payload_would_be_seen(tmp_path, kind):
    import torch

    canary = Canary(tmp_path / "mark")
    (tmp_path / "file").write_bytes(canary.files()[kind])
    with contextlib.suppress(Exception):
        if kind.startswith("torch"):
            torch.load(tmp_path / "file", weights_only=False)
        else:
            pickle.loads((tmp_path / "file").read_bytes())
    assert canary.sang


# Weights


def spoil(run: Path, file: str, content: bytes) -> None:
    """Of every checkpoint, whose manifest is then made for it."""
    for folder in checkpoint.checkpoints(run / "checkpoints"):
        (folder / file).write_bytes(content)
        if file != MANIFEST:
            write_manifest(folder, {path.name for path in folder.iterdir()} - {MANIFEST})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", ["ema.safetensors", "state.json", "manifest.json"])
def test_in_a_checkpoint(run_copy, canary, kind, file):
    spoil(run_copy, file, canary.files()[kind])
    assert file in refused(lambda: TextToImage.load(run_copy))


@pytest.mark.parametrize("kind", ["pickle 2", "torch zip"])
@pytest.mark.parametrize("file", ["unet.safetensors", "optimizer.safetensors"])
def test_in_a_resumed_run(run_copy, canary, kind, file, configs, shapes, tiny_clip):
    spoil(run_copy, file, canary.files()[kind])
    flags = ["--config", configs / "unet.yaml", "--data.source", shapes, "--clip", tiny_clip]
    more = ["--run-dir", run_copy, "--train.steps", "8"]
    assert file in refused(lambda: run(["train", *map(str, [*flags, *more])]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fixture", "load", "file"),
    [
        ("tiny_clip", ClipModel.load, "open_clip_model.safetensors"),
        ("noised_with_clean", NoisedClip.load, "noised_clip.safetensors"),
        ("noised_with_clean", NoisedClip.load, "clean/open_clip_model.safetensors"),
    ],
)
def test_in_a_clip_folder(request, tmp_path, canary, kind, fixture, load, file):
    folder = Path(shutil.copytree(request.getfixturevalue(fixture), tmp_path / "clip"))
    (folder / file).write_bytes(canary.files()[kind])
    # what open_clip and transformers would take in its place
    for name in ("open_clip_pytorch_model.bin", "pytorch_model.bin", "model.pt"):
        (folder / name).write_bytes(canary.files()[kind])
    assert Path(file).name in refused(lambda: load(accept(folder)))


@pytest.mark.parametrize("kind", KINDS)
def test_in_an_exported_model_and_a_prior(tmp_path, canary, kind, tiny_run, tiny_prior):
    TextToImage.load(tiny_run).save(tmp_path / "model")
    Prior.load(tiny_prior).save(tmp_path / "prior")
    for load, name in ((TextToImage.load, "model/unet"), (Prior.load, "prior/prior")):
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes(canary.files()[kind])
        assert file.name in refused(lambda load=load, file=file: load(accept(file.parent)))


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_file_of_another_project(tmp_path, canary, kind):
    for name in ("weights.pt", "weights.pth", "weights.bin"):
        (tmp_path / name).write_bytes(canary.files()[kind])
        assert "cannot be read as plain weights" in refused(
            lambda name=name: load_foreign_tensors(tmp_path / name)
        )
    refused(lambda: inception_of(tmp_path / "weights.pth"))


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_folder_of_diffusers(tmp_path, canary, kind):
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "UNet2DConditionModel"}))
    (tmp_path / "diffusion_pytorch_model.bin").write_bytes(canary.files()[kind])
    assert "has no diffusion_pytorch_model.safetensors" in refused(
        lambda: unet_from_diffusers(tmp_path)
    )


# Settings


@pytest.mark.parametrize("key", ["{}", "a: {}", "? {}"])
def test_in_a_config(tmp_path, canary, key):
    (tmp_path / "config.yaml").write_text(key.format(canary.yaml()))
    assert "cannot be read as YAML" in refused(lambda: read_yaml(tmp_path / "config.yaml"))


def test_in_the_settings_of_a_model(run_copy, canary):
    with (run_copy / "model.yaml").open("a") as file:
        file.write(f"more: {canary.yaml()}")
    assert "model.yaml" in refused(lambda: TextToImage.load(run_copy))


@pytest.mark.parametrize(
    "change",
    [
        {"text_cfg": {"hf_model_name": "folder", "hf_model_pretrained": True}},
        {"text_cfg": {"hf_tokenizer_name": "folder", "tokenizer_kwargs": {"trust": True}}},
        {"vision_cfg": {"timm_model_name": "folder", "timm_model_pretrained": True}},
        {"vision_cfg": {"timm_model_name": "local-dir:folder"}},
        {"custom_text": True, "multimodal_cfg": {"_target_": "hook.run"}},
        {"_target_": "hook.run"},
    ],
    ids=str,
)
def test_in_the_config_of_a_clip(tmp_path, canary, tiny_clip, change, monkeypatch):
    """Which also brings what such names would lead to."""
    folder = forget(Path(shutil.copytree(tiny_clip, tmp_path / "folder")))
    config = json.loads((folder / "open_clip_config.json").read_text())
    for key, value in change.items():
        own = config["model_cfg"].get(key)
        config["model_cfg"][key] = {**own, **value} if isinstance(own, dict) else value
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    for name in ("hook.py", "tokenization_hook.py", "modeling_hook.py", "__init__.py"):
        (folder / name).write_text(canary.source())
    auto = {"AutoTokenizer": ["tokenization_hook.Hook", None], "AutoModel": "modeling_hook.Hook"}
    for name in ("tokenizer_config.json", "config.json"):
        (folder / name).write_text(json.dumps({"auto_map": auto, "model_type": "hook"}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    refused(lambda: ClipModel.load(folder))


# Data


def data_of(source: Path, tmp_path: Path, **changes: object):
    settings = {"source": str(source), "image_size": 16, "min_side": 4, "need_captions": False}
    cache = {"cache_dir": str(tmp_path / "cache"), "max_bad_fraction": 1.0}
    return open_data(DataConfig(**{**settings, **cache, **changes}), "all")


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_folder_of_pictures(tmp_path, canary, kind):
    folder = tmp_path / "data"
    folder.mkdir()
    Image.new("RGB", (20, 20)).save(folder / "good.png")
    for name in ("a.png", "b.jpg", "c.pkl", "d.webp"):
        (folder / name).write_bytes(canary.files()[kind])
    rows = [{"file_name": name, "text": "x"} for name in ("good.png", "a.png", "b.jpg", "d.webp")]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name in ("data.py", "dataset.py", "__init__.py", "conftest.py"):  # a loading script
        (folder / name).write_text(canary.source())
    data = data_of(folder, tmp_path)
    data.read(range(len(data)))
    assert len(data.bad) == 3


def test_in_tars(tmp_path, canary):
    outside = tmp_path / "outside.txt"
    (tmp_path / "a.tar").write_bytes(canary.tar(outside=outside))
    refused(lambda: data_of(tmp_path / "a.tar", tmp_path))
    assert not outside.exists()


def test_in_parquet(tmp_path, canary):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"image": [canary.pickled(), canary.torch_file()], "text": ["a", "b"]}
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    data = data_of(tmp_path / "train.parquet", tmp_path)
    refused(lambda: data.read(range(len(data))))


@pytest.mark.parametrize("name", ["images.npy", "sums.npy", "done.npy"])
@pytest.mark.parametrize("as_array", [False, True], ids=["bare pickle", "array of objects"])
def test_in_a_cache(tmp_path, canary, shapes, name, as_array):
    folder = data_of(shapes, tmp_path).cache_pixels()
    mapped.cache_clear()
    if as_array:
        hook = pickle.loads(pickle.dumps(canary))  # any object
        np.save(folder / name, np.array([hook], dtype=object), allow_pickle=True)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:128] + canary.pickled())
    else:
        (folder / name).write_bytes(canary.pickled())
    refused(lambda: data_of(shapes, tmp_path).cache_pixels())
    assert IMAGES == "images.npy"


def test_in_embeddings(tmp_path, canary):
    for content in canary.files().values():
        (tmp_path / "e.safetensors").write_bytes(content)
        refused(lambda: read_embeddings(str(tmp_path / "e.safetensors")))


@pytest.mark.parametrize("kind", KINDS)
def test_in_an_index(tmp_path, canary, shapes, kind):
    index = build(tmp_path / "index", opened(shapes))
    (shard,) = index.manifest.shards
    (tmp_path / "index" / shard.file).write_bytes(canary.files()[kind])
    refused(lambda: Index.open(tmp_path / "index"))
    (tmp_path / "index" / "manifest.json").write_bytes(canary.files()[kind])
    refused(lambda: Index.open(tmp_path / "index"))
