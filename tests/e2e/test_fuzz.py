"""Whatever stands in a file that we read: what comes out is right, or an error of ours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.helpers.indexes import build, opened
from tests.helpers.mutations import TREES, mutated
from textdiff.checkpoint import load_state
from textdiff.clip.config import NoisedClipConfig
from textdiff.clip.folder_config import check_model, check_preprocess
from textdiff.clip.source import _read_config
from textdiff.commands.cli import run
from textdiff.config import build as build_settings
from textdiff.config import read_yaml
from textdiff.data import DataConfig, open_data
from textdiff.data.embeddings import read_embeddings
from textdiff.errors import TextdiffError
from textdiff.models.config import UNetConfig
from textdiff.pipeline.config import ModelConfig
from textdiff.pipeline.loading import read_description
from textdiff.pipeline.prior.config import PriorConfig
from textdiff.retrieval.index import Index
from textdiff.retrieval.manifest import read_manifest
from textdiff.training.fixed import check_fixed
from textdiff.training.health import Health
from textdiff.training.settings.text_to_image import TrainSettings

fuzz = settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)


def only_ours(read: Callable[[], object]) -> None:
    """Any other error fails the test."""
    try:
        read()
    except TextdiffError as error:
        assert "\n" not in " ".join(str(error).split())


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


# Settings


@fuzz
@given(content=st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
@example(b"a: &a [*a]")
@example(b"run_dir: !!python/name:os.system x")
def test_any_bytes_as_a_config(place, content):
    (place / "config.yaml").write_bytes(content)
    only_ours(lambda: build_settings(TrainSettings, [("file", read_yaml(place / "config.yaml"))]))


VALID = TrainSettings(run_dir="run", clip="clip").model_dump(mode="json")


@fuzz
@given(tree=mutated(VALID))
def test_settings_that_are_nearly_right(tree):
    if isinstance(tree, dict):
        only_ours(lambda: build_settings(TrainSettings, [("file", tree)]))


@pytest.mark.parametrize(
    ("fixture", "file", "schema"),
    [
        ("tiny_run", "model.yaml", ModelConfig),
        ("tiny_prior", "prior.yaml", PriorConfig),
        ("noised_with_clean", "noised.yaml", NoisedClipConfig),
    ],
)
@fuzz
@given(data=st.data())
def test_the_settings_of_a_model_nearly_right(request, place, fixture, file, schema, data):
    valid = yaml.safe_load((request.getfixturevalue(fixture) / file).read_text())
    (place / file).write_text(yaml.safe_dump(data.draw(mutated(valid)), allow_unicode=True))
    only_ours(lambda: read_description(place, file, schema, "test"))


@fuzz
@given(data=st.data())
def test_the_config_of_a_clip_nearly_right(place, tiny_clip, data):
    valid = json.loads((tiny_clip / "open_clip_config.json").read_text())
    (place / "open_clip_config.json").write_text(json.dumps(data.draw(mutated(valid))))

    def read() -> None:
        config = _read_config(place)
        check_model(config["model_cfg"], "file")
        check_preprocess(config.get("preprocess_cfg") or {}, "file")

    only_ours(read)


@fuzz
@given(tree=mutated(UNetConfig().model_dump(mode="json")))
def test_a_network_nearly_right(tree):
    if isinstance(tree, dict):
        only_ours(lambda: build_settings(UNetConfig, [("file", tree)]))


# State


@fuzz
@given(data=st.data())
def test_the_state_of_a_checkpoint_nearly_right(place, tiny_run, data):
    newest = tiny_run / "checkpoints" / "step-000006"
    valid = json.loads((newest / "state.json").read_text())
    (place / "state.json").write_text(json.dumps(data.draw(mutated(valid))))

    def read() -> None:
        state = load_state(place)
        Health().fill(state.get("health", {}))
        before = state.get("fixed", {})
        known = state.get("data", {})
        check_fixed(before, valid["fixed"], place, saved_data=known, data=valid["data"])

    only_ours(read)


@fuzz
@given(data=st.data())
def test_the_manifest_of_an_index_nearly_right(place, shapes, data):
    if not (place / "index").exists():
        build(place / "index", opened(shapes))
        shutil.copy(place / "index" / "manifest.json", place / "valid.json")
    valid = json.loads((place / "valid.json").read_text())
    (place / "index" / "manifest.json").write_text(json.dumps(data.draw(mutated(valid))))
    only_ours(lambda: read_manifest(place / "index"))
    only_ours(lambda: Index.open(place / "index"))


@fuzz
@given(at=st.floats(0, 1), bit=st.integers(0, 7))
def test_one_changed_bit_of_embeddings(place, tiny_embeddings, at, bit):
    """Is found, or is in the padding, which says nothing."""
    content = bytearray(tiny_embeddings.read_bytes())
    content[int(at * (len(content) - 1))] ^= 1 << bit
    (place / "e.safetensors").write_bytes(content)
    expected = read_embeddings(str(tiny_embeddings)).of_split("train").fingerprint

    def read() -> None:
        found = read_embeddings(str(place / "e.safetensors")).of_split("train")
        assert found.fingerprint == expected

    only_ours(read)


# Data


def pictures(place: Path, shapes: Path, name: str) -> Path:
    folder = place / name
    if not folder.exists():
        folder.mkdir()
        for picture in sorted(shapes.rglob("*.png"))[:3]:
            shutil.copy(picture, folder)
    return folder


def open_folder(folder: Path) -> None:
    config = DataConfig(source=str(folder), image_size=16, min_side=4, max_bad_fraction=1.0)
    data = open_data(config, "all")
    for index in range(len(data)):
        data.read([index])


@pytest.mark.parametrize("table", ["metadata.jsonl", "metadata.csv"])
@fuzz
@given(content=st.binary(max_size=120) | st.text(max_size=120).map(str.encode))
@example(b"\xff\xfe" + b"a" * 20)
@example(b'{"file_name": "' + b"[" * 100_000)
@example(b"file_name,text\n" + b'"' * 5000)
def test_any_bytes_as_metadata(place, shapes, table, content):
    folder = pictures(place, shapes, table)
    (folder / table).write_bytes(content)
    only_ours(lambda: open_folder(folder))


@fuzz
@given(rows=st.lists(st.dictionaries(st.sampled_from(["file_name", "text", "split"]), TREES)))
def test_rows_of_metadata(place, shapes, rows):
    folder = pictures(place, shapes, "rows")
    names = [path.name for path in sorted(folder.glob("*.png"))]
    rows = [{"file_name": name, **row} for name, row in zip(names * 9, rows, strict=False)]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    only_ours(lambda: open_folder(folder))


@pytest.mark.parametrize("words", [["sample", "--model", "{}"], ["data", "info", "{}"]])
def test_a_whole_command_on_a_folder_of_nonsense(place, words, capsys):
    folder = place / "nonsense"
    folder.mkdir(exist_ok=True)
    for name in ("model.yaml", "metadata.jsonl", "a.png", "manifest.json", "clip"):
        (folder / name).write_bytes(bytes(range(256)))
    only_ours(lambda: run([word.format(folder) for word in words]))
