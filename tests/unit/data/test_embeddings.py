"""Files of embeddings: back as they were, by split, refused where no training could use them."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import islice

import pytest
import torch

from tests.helpers.embeddings import SPACE, embeddings
from textdiff.data import DataConfig, batches, open_data
from textdiff.data.embeddings import Embeddings, read_embeddings, write_embeddings
from textdiff.data.training_data import TrainingData
from textdiff.errors import DataError, EmptySplitError


@pytest.fixture
def written(tmp_path):
    def path(content: Embeddings):
        write_embeddings(tmp_path / "e.safetensors", content)
        return tmp_path / "e.safetensors"

    return path


def test_back_as_they_were(written):
    content = embeddings()
    again = read_embeddings(written(content))
    for name in (each.name for each in fields(Embeddings)):
        found, wanted = getattr(again, name), getattr(content, name)
        equal = torch.equal(found, wanted) if isinstance(wanted, torch.Tensor) else found == wanted
        assert equal, name


def test_mean_and_deviation_are_those_of_the_training_rows():
    content = embeddings()
    rows = content.image[[0, 1, 4, 5]].double()
    torch.testing.assert_close(content.mean, rows.mean(0).float())
    torch.testing.assert_close(content.std, rows.std(0, correction=0).float())


def test_rows_of_a_split():
    train = embeddings().of_split("train")
    assert train.identifiers == ["0.png", "1.png", "4.png", "5.png"]
    assert torch.equal(train.image, embeddings().image[[0, 1, 4, 5]])
    assert train.captions[0] == ["caption 0", "second"]
    assert train.title == "embeddings of shapes, split train (4 images)"
    assert len(embeddings().of_split("all")) == 8


def test_a_split_without_rows():
    content = embeddings(2)
    with pytest.raises(EmptySplitError, match=r"no row of split 'test'; there are train \(2\)"):
        content.of_split("test")


def test_texts_by_caption():
    content = embeddings()
    assert torch.equal(content.text_of(["caption 1", "second"]), content.text[[2, 1]])


def test_rows_by_the_images_of_a_data_set():
    content = embeddings()
    assert content.rows_of(["3.png", "0.png"]) == [3, 0]
    with pytest.raises(DataError, match=r"1 of 2 images have no embedding, .* bad.png: truncated"):
        content.rows_of(["3.png", "bad.png"])


def test_batches_of_embeddings_are_drawn_as_those_of_pictures(shapes):
    """The same ids and captions by the same order, their embeddings in place of pixels."""
    pictures = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "all")
    rows = embeddings(16).of_split("all")
    for step, other in zip(
        islice(batches(rows, seed=3, batch_size=5), 4),
        islice(batches(pictures, seed=3, batch_size=5), 4),
        strict=True,
    ):
        assert torch.equal(step[0].sample_ids, other[0].sample_ids)
        assert torch.equal(step[0].epochs, other[0].epochs)
        assert torch.equal(step[0].image, rows.image[step[0].sample_ids])


def test_a_worker_draws_the_same():
    rows = embeddings(16).of_split("train")
    alone = [step[0].image for step in islice(batches(rows, seed=0, batch_size=4), 2)]
    other = [step[0].image for step in islice(batches(rows, seed=0, batch_size=4, workers=1), 2)]
    assert all(map(torch.equal, alone, other))


@pytest.mark.parametrize("kind", ["pictures", "embeddings"])
def test_both_have_what_a_training_asks_for(kind, shapes):
    config = DataConfig(source=str(shapes), image_size=16, min_side=4)
    data = open_data(config, "all") if kind == "pictures" else embeddings().of_split("all")
    names = set(TrainingData.__annotations__) | {
        name for name in vars(TrainingData) if not name.startswith("_")
    }
    assert [name for name in sorted(names) if not hasattr(data, name)] == []


def test_other_embeddings_have_another_fingerprint():
    content = embeddings()
    others = [
        replace(content, image=content.image.flip(0)),
        replace(content, captions=content.captions[::-1]),
        replace(content, space=SPACE.model_copy(update={"clip_weights": "9876"})),
    ]
    prints = {each.of_split("train").fingerprint for each in (content, embeddings(), *others)}
    assert len(prints) == 4


def spoilt(row: int, value: float) -> Embeddings:
    content = embeddings()
    content.image[row] = value
    return content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            spoilt(3, torch.nan),
            "1 of 8 image embeddings are NaN or infinite, the first is number 3",
        ),
        (spoilt(0, torch.inf), "the first is number 0; embed again"),
        (spoilt(2, 2.0), r"image embedding 2 has length 4\.899, but the file says normalisation"),
        (embeddings(0), "holds no embedding; embed data that have images"),
    ],
)
def test_what_no_training_could_use(written, content, said):
    with pytest.raises(DataError, match=said):
        read_embeddings(written(content))


def test_a_file_of_features_is_none(tmp_path):
    from tests.helpers.extractors import MeanColours
    from textdiff.evaluation.features.feature_set import FeatureSet, write_features

    features = FeatureSet(torch.zeros(1, 3), [0], [["a"]], MeanColours().protocol, {}, {})
    write_features(tmp_path / "f.safetensors", features)
    with pytest.raises(DataError, match="write it again with 'textdiff embed'"):
        read_embeddings(tmp_path / "f.safetensors")
