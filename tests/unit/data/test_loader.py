"""Batches: the same global batch for any number of processes and workers; resume is a position."""

from itertools import chain, islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from textdiff.data import DataConfig, batches, open_data
from textdiff.data.loader import pick_caption
from textdiff.errors import DataError

NUM_IMAGES = 10


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Image i is filled with 20 i; every other image has three captions."""
    folder = tmp_path_factory.mktemp("numbers")
    for i in range(NUM_IMAGES):
        Image.new("RGB", (8, 8), (20 * i,) * 3).save(folder / f"{i}.png")
        texts = [f"{i} {word}" for word in ("one", "two", "three")]
        (folder / f"{i}.txt").write_text("\n".join(texts if i % 2 else texts[:1]))
    return open_data(DataConfig(source=str(folder), image_size=8), "all")


def rows(steps):
    """Per step and micro-batch, (sample id, epoch, caption) of each row."""
    return [
        [list(zip(b.sample_ids.tolist(), b.epochs.tolist(), b.captions, strict=True)) for b in step]
        for step in steps
    ]


def first(data, count, **options):
    return rows(islice(batches(data, seed=0, **options), count))


@settings(max_examples=15)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_the_global_batch_does_not_depend_on_the_number_of_processes(
    data, world_size, batch_size, accumulation
):
    whole = first(data, 3, batch_size=batch_size * world_size, accumulation=accumulation)
    ranks = [
        first(
            data,
            3,
            batch_size=batch_size,
            accumulation=accumulation,
            rank=rank,
            world_size=world_size,
        )
        for rank in range(world_size)
    ]
    for step, micro_batches in enumerate(whole):
        for micro, expected in enumerate(micro_batches):
            assert list(chain(*(rank[step][micro] for rank in ranks))) == expected


def test_accumulation_splits_the_same_rows(data):
    whole = first(data, 4, batch_size=6)
    parts = first(data, 4, batch_size=2, accumulation=3)
    assert [list(chain(*step)) for step in parts] == [list(chain(*step)) for step in whole]


@pytest.mark.parametrize("start", [1, 3, 7])
def test_resuming_gives_the_tail(data, start):
    whole = first(data, 10, batch_size=3)
    assert first(data, 10 - start, batch_size=3, start_step=start) == whole[start:]


def test_an_epoch_shows_every_image_once(data):
    steps = first(data, NUM_IMAGES, batch_size=3)
    seen = [(epoch, sample) for step in steps for sample, epoch, _ in step[0]]
    assert sorted(seen) == [(epoch, i) for epoch in range(3) for i in range(NUM_IMAGES)]


def test_rows_hold_their_own_image_and_caption(data):
    (batch,) = next(batches(data, seed=0, batch_size=7))
    assert batch.image.dtype == torch.uint8
    assert batch.image[:, 0, 0, 0].tolist() == [20 * i for i in batch.sample_ids.tolist()]
    assert [int(caption.split()[0]) for caption in batch.captions] == batch.sample_ids.tolist()


def test_captions_change_with_the_epoch_and_are_used_evenly():
    captions = ["a", "b", "c"]
    drawn = [pick_caption(captions, 0, epoch, 5) for epoch in range(3000)]
    assert min(map(drawn.count, captions)) > 880


@pytest.mark.slow
def test_workers_change_nothing(data):
    options = {"batch_size": 3, "accumulation": 2, "start_step": 2}
    state = torch.get_rng_state()
    assert first(data, 6, workers=2, **options) == first(data, 6, **options)
    assert torch.equal(state, torch.get_rng_state())


@pytest.fixture
def half_broken(tmp_path):
    for i in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.txt").write_text(f"number {i}")
    for i in (1, 2):
        (tmp_path / f"{i}.png").write_bytes(b"no image")
    return DataConfig(source=str(tmp_path), image_size=8, max_bad_fraction=0.5)


def test_a_replaced_image_brings_its_own_caption(half_broken):
    data = open_data(half_broken, "all")
    (batch,) = next(batches(data, seed=0, batch_size=4))
    assert sorted(batch.sample_ids.tolist()) == [0, 3, 3, 3]
    assert batch.captions == [f"number {i}" for i in batch.sample_ids.tolist()]


@pytest.mark.slow
def test_unusable_images_found_by_workers_are_counted(half_broken):
    data = open_data(half_broken, "all")
    next(batches(data, seed=0, batch_size=4, workers=1))
    assert sum(data.rejected.values()) == 2


@pytest.mark.slow
def test_an_error_in_a_worker_reads_as_one_line(half_broken):
    data = open_data(half_broken.model_copy(update={"max_bad_fraction": 0}), "all")
    with pytest.raises(DataError, match="cannot be used") as caught:
        next(batches(data, seed=0, batch_size=4, workers=1))
    assert "\n" not in str(caught.value)
