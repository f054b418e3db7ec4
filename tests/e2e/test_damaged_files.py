"""Every file of what we write, damaged in every way: found before anything is made with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.helpers.damage import DAMAGE, forget
from tests.helpers.embeddings import embeddings
from tests.helpers.extractors import MeanColours
from tests.helpers.indexes import build, opened
from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.commands.cli import run
from textdiff.data.embeddings import read_embeddings, write_embeddings
from textdiff.errors import CheckpointError, DataError
from textdiff.evaluation.features.cache import FeatureCache
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.feature_set import read_features, write_features
from textdiff.manifests import MANIFEST, read_manifest
from textdiff.pipeline.prior import Prior
from textdiff.retrieval.index import Index
from textdiff.vae import Vae

LOAD: dict[str, Callable[[Path], object]] = {
    "model": TextToImage.load,
    "prior": Prior.load,
    "clip": ClipModel.load,
    "noised clip": NoisedClip.load,
    "vae": Vae.load,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory, tiny_run, tiny_prior, tiny_clip, noised_with_clean, tiny_vae) -> Path:
    """A folder of each kind, by its name."""
    folder = tmp_path_factory.mktemp("written")
    TextToImage.load(tiny_run).save(folder / "model")
    Prior.load(tiny_prior).save(folder / "prior")
    ClipModel.load(tiny_clip).save(folder / "clip")
    NoisedClip.load(noised_with_clean).save(folder / "noised clip")
    Vae.load(tiny_vae).save(folder / "vae")
    return folder


def listed_files(folder: Path) -> list[Path]:
    """Relative to `folder`: those of its manifest and of those of folders in it."""
    return sorted(
        (manifest.parent / name).relative_to(folder)
        for manifest in folder.rglob(MANIFEST)
        for name in read_manifest(manifest.parent)
    )


@pytest.mark.parametrize("kind", LOAD)
def test_a_manifest_lists_every_file(written, kind):
    files = {path.relative_to(written / kind) for path in (written / kind).rglob("*.*")}
    assert files - {Path(MANIFEST)} == set(listed_files(written / kind))
    assert len(listed_files(written / kind)) >= 2


@pytest.mark.parametrize("kind", LOAD)
@pytest.mark.parametrize("damage", DAMAGE)
def test_every_file_damaged_in_every_way_is_found(tmp_path, written, kind, damage):
    for number, name in enumerate(listed_files(written / kind)):
        folder = Path(shutil.copytree(written / kind, tmp_path / str(number)))
        DAMAGE[damage](folder / name)
        with pytest.raises(CheckpointError, match=name.name.partition(".")[0]):
            LOAD[kind](folder)


@pytest.mark.parametrize("kind", LOAD)
def test_a_folder_of_ours_without_its_manifest_is_refused_until_it_is_accepted(
    tmp_path, written, kind
):
    """Each of its manifests by itself: that of the whole, and those of the folders in it."""
    manifests = sorted(
        path.relative_to(written / kind) for path in (written / kind).rglob(MANIFEST)
    )
    for number, name in enumerate(manifests):
        folder = Path(shutil.copytree(written / kind, tmp_path / str(number)))
        (folder / name).unlink()
        with pytest.raises(CheckpointError, match=MANIFEST):
            LOAD[kind](folder)
        run(["ckpt", "verify", str(folder), "--adopt"])
        LOAD[kind](folder)


@pytest.mark.parametrize("kind", ["clip", "vae"])
def test_a_folder_of_another_program_needs_no_manifest(tmp_path, written, kind):
    LOAD[kind](forget(Path(shutil.copytree(written / kind, tmp_path / "copy"))))


@pytest.mark.parametrize("kind", ["model", "prior"])
def test_a_clip_exchanged_with_its_manifest_is_found(tmp_path, written, other_clip, kind):
    folder = Path(shutil.copytree(written / kind, tmp_path / "copy"))
    shutil.rmtree(folder / "clip")
    ClipModel.load(other_clip).save(folder / "clip")
    with pytest.raises(CheckpointError, match=f"clip/{MANIFEST} differs"):
        LOAD[kind](folder)


READ: dict[str, Callable[[Path], object]] = {
    "index": Index.open,
    "embeddings": lambda folder: read_embeddings(folder / "e.safetensors"),
    "features": lambda folder: read_features(folder / "f.safetensors"),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory, shapes) -> Path:
    """A folder of each kind of data that we keep, by its name."""
    folder = tmp_path_factory.mktemp("kept")
    build(folder / "index", opened(shapes))
    write_embeddings(folder / "embeddings" / "e.safetensors", embeddings())
    features = CachedFeatures(MeanColours()).of_split(opened(shapes))
    write_features(folder / "features" / "f.safetensors", features)
    return folder


@pytest.mark.parametrize("kind", READ)
@pytest.mark.parametrize("damage", DAMAGE)
def test_every_file_of_data_damaged_in_every_way_is_found(tmp_path, kept, kind, damage):
    names = [path.name for path in (kept / kind).iterdir() if not path.name.startswith(".")]
    assert names and READ[kind](kept / kind)
    for number, name in enumerate(names):
        folder = Path(shutil.copytree(kept / kind, tmp_path / str(number)))
        DAMAGE[damage](folder / name)
        with pytest.raises(DataError, match=f"{name}|{folder}"):
            READ[kind](folder)


@pytest.mark.parametrize("damage", DAMAGE)
def test_features_in_the_cache_that_are_damaged_are_computed_again(tmp_path, shapes, damage):
    cache, data = FeatureCache(tmp_path), opened(shapes)
    expected = CachedFeatures(MeanColours(), cache).of_split(data).features
    (file,) = cache.folder.glob("*.safetensors")
    DAMAGE[damage](file)
    again = MeanColours()
    assert torch.equal(CachedFeatures(again, cache).of_split(data).features, expected)
    assert sum(again.encoded) == len(data)


@pytest.mark.parametrize(
    ("fixture", "load", "name"),
    [("tiny_run", TextToImage.load, "model.yaml"), ("tiny_prior", Prior.load, "prior.yaml")],
)
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_describes_the_model_of_a_run_is_verified(
    request, tmp_path, fixture, load, name, damage
):
    folder = Path(shutil.copytree(request.getfixturevalue(fixture), tmp_path / "run"))
    DAMAGE[damage](folder / name)
    with pytest.raises(CheckpointError, match=name):
        load(folder)


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_file_of_a_checkpoint_damaged_gives_way_to_the_one_before(
    tmp_path, tiny_run, damage, caplog
):
    newest = "checkpoints/step-000006"
    for number, name in enumerate(listed_files(tiny_run / newest)):
        folder = Path(shutil.copytree(tiny_run, tmp_path / str(number)))
        DAMAGE[damage](folder / newest / name)
        assert TextToImage.load(folder).step == 4
        assert "skipping a damaged checkpoint" in caplog.text
        caplog.clear()


def test_a_model_does_not_draw_with_another_clip_than_that_of_its_training(run_copy, other_clip):
    shutil.rmtree(run_copy / "clip")
    shutil.copytree(other_clip, run_copy / "clip")
    with pytest.raises(CheckpointError, match="is not the CLIP that the U-Net"):
        TextToImage.load(run_copy)


@pytest.mark.parametrize("clip", ["deleted", "exchanged"])
def test_a_run_does_not_go_on_with_another_clip(run_copy, configs, shapes, other_clip, clip):
    shutil.rmtree(run_copy / "clip")
    if clip == "exchanged":
        shutil.copytree(other_clip, run_copy / "clip")
    flags = ["--config", configs / "unet.yaml", "--data.source", shapes, "--clip", other_clip]
    with pytest.raises(CheckpointError, match="another CLIP than --clip names now"):
        run(["train", *map(str, flags), "--run-dir", str(run_copy), "--train.steps", "8"])
