"""Pictures come into an index once, whatever is added again, and after a kill it continues."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from tests.helpers.indexes import ShapeColours, build, opened
from tests.helpers.shapes import draw_shape
from textdiff.errors import CheckpointError, DataError, UsageError
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.retrieval import shard, writer
from textdiff.retrieval.index import Index
from textdiff.retrieval.shard import open_shard
from textdiff.retrieval.writer import Added, IndexWriter, check_distinct


@pytest.fixture
def folder(shapes, tmp_path):
    return shutil.copytree(shapes, tmp_path / "shapes")


@pytest.fixture
def few_rows(monkeypatch):
    """Five rows in a shard."""
    monkeypatch.setattr(writer, "ROWS", 5)


def added(index: Index, data, extractor=None) -> Added:
    with IndexWriter.open(index.path, CachedFeatures(extractor or ShapeColours())) as open_writer:
        result = open_writer.add(data)
        open_writer.finish()
    return result


def test_rows_are_the_unit_features_in_the_order_of_the_data(folder, tmp_path, few_rows):
    data = opened(folder)
    index = build(tmp_path / "index", data)
    assert [len(each.planes) for each in index.shards] == [5, 5, 5, 1]
    features = CachedFeatures(ShapeColours()).of_split(data).features
    unit = torch.nn.functional.normalize(features.double(), dim=1).float()
    assert torch.equal(index.rows.take(range(16)), unit)
    assert [index.identifier(row) for row in range(16)] == data.identifiers
    assert [index.captions(row) for row in range(16)] == data.captions


def test_what_is_there_is_not_encoded_again(folder, tmp_path):
    index = build(tmp_path / "index", opened(folder, "train"))
    extractor = ShapeColours()
    assert added(index, opened(folder, "train"), extractor) == Added(str(folder), 0, 8, 0, 0)
    assert extractor.encoded == []
    assert added(index, opened(folder), extractor) == Added(str(folder), 8, 8, 0, 0)
    assert sum(extractor.encoded) == 8
    assert len(Index.open(index.path)) == 16
    assert len(Index.open(index.path).manifest.sources) == 1


def test_a_picture_whose_caption_changed_is_renewed(folder, tmp_path):
    index = build(tmp_path / "index", opened(folder))
    table = folder / "metadata.jsonl"
    table.write_text(table.read_text().replace("red circle", "red cross"))
    assert added(index, opened(folder)) == Added(str(folder), 1, 15, 1, 0)
    index = Index.open(index.path)
    captions = {index.identifier(row): index.caption(row) for row in index.live_rows()}
    assert (len(captions), captions["red-circle.png"]) == (16, "red cross")


def test_pictures_that_cannot_be_used_are_counted(folder, tmp_path):
    (folder / "red-circle.png").write_bytes(b"no picture")
    with IndexWriter.create(tmp_path / "index", CachedFeatures(ShapeColours()), "") as new:
        result = new.add(opened(folder, max_bad_fraction=0.5))
    assert (result.new, result.unusable) == (15, 1)
    assert str(result) == f"{folder}: 15 pictures added, 1 cannot be used"


def test_pictures_without_captions_are_taken(tmp_path):
    (tmp_path / "bare").mkdir()
    for shape in ("circle", "cross"):
        draw_shape("red", shape).save(tmp_path / "bare" / f"{shape}.png")
    index = build(tmp_path / "index", opened(tmp_path / "bare"))
    assert [index.captions(row) for row in (0, 1)] == [[], []]
    assert index.manifest.calibration.text is None


def test_a_killed_build_continues_where_it_was(folder, tmp_path, few_rows, monkeypatch):
    written, killed = shard.write_shard, tmp_path / "killed"

    def killed_at_the_third(path, number, *rest):
        if number == 2:
            (path / "shard-000002.safetensors").write_bytes(b"half of a file")
            raise KeyboardInterrupt
        return written(path, number, *rest)

    monkeypatch.setattr(writer, "write_shard", killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        build(killed, opened(folder))
    with pytest.raises(DataError, match="not built to its end"):
        Index.open(killed)
    monkeypatch.setattr(writer, "write_shard", written)
    extractor = ShapeColours()
    index, whole = build(killed, opened(folder), extractor=extractor), tmp_path / "whole"
    assert sum(extractor.encoded) == 6
    assert index.manifest == build(whole, opened(folder)).manifest
    assert {path.name for path in killed.iterdir()} == {path.name for path in whole.iterdir()}


def test_the_same_source_with_other_settings_has_another_name(folder, tmp_path):
    shutil.copy(folder / "metadata.jsonl", folder / "more.jsonl")
    with IndexWriter.create(tmp_path / "index", CachedFeatures(ShapeColours()), "") as new:
        new.add(opened(folder))
        new.add(opened(folder, seed=1))
        names = [source.name for source in new.index.manifest.sources]
    assert names == [str(folder), f"{folder} (2)"]


def test_a_source_that_is_given_twice_is_refused(folder):
    with pytest.raises(UsageError, match="is given twice"):
        check_distinct([opened(folder, "train"), opened(f"{folder}/../shapes", "val")])


def test_a_place_that_holds_something_else_is_left_alone(folder, tmp_path):
    with pytest.raises(UsageError, match="holds other files; name another place"):
        build(folder, opened(folder))
    index = build(tmp_path / "index", opened(folder))
    with pytest.raises(UsageError, match=r"is an index already; add to it"):
        build(index.path, opened(folder))


def test_features_of_another_extractor_are_refused(folder, tmp_path):
    index = build(tmp_path / "index", opened(folder))
    with pytest.raises(UsageError, match=r"weights 0123.*not of colours \(weights 4567\)"):
        added(index, opened(folder), ShapeColours("4567"))


def test_two_processes_do_not_change_one_index(folder, tmp_path):
    index = build(tmp_path / "index", opened(folder))
    with (
        IndexWriter.open(index.path, CachedFeatures(ShapeColours())),
        pytest.raises(UsageError, match="another process changes the index"),
    ):
        added(index, opened(folder))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "is missing, though the index lists it"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"), "is damaged"),
    ],
)
def test_a_damaged_shard_is_named(folder, tmp_path, spoil, said):
    index = build(tmp_path / "index", opened(folder))
    (entry,) = index.manifest.shards
    spoil(index.path / entry.file)
    with pytest.raises(DataError, match=f"{entry.file} {said}"):
        open_shard(index.path, entry)
    with pytest.raises(DataError):
        Index.open(index.path)


def test_features_that_are_not_finite_are_refused(folder, tmp_path):
    class Broken(ShapeColours):
        def encode(self, images):
            return super().encode(images) * torch.nan

    with pytest.raises(CheckpointError, match="NaN or infinite"):
        build(tmp_path / "index", opened(folder), extractor=Broken())


def test_the_manifest_is_json_that_people_can_read(folder, tmp_path):
    path = build(tmp_path / "index", opened(folder)).path
    content = json.loads((path / "manifest.json").read_text())
    assert content["sources"][0]["settings"]["source"] == str(folder.resolve())
    assert content["extractor"]["weights"] == "0123"
