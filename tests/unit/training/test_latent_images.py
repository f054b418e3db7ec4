"""The cache of latents: encoded once, stopped and continued, never stale, the same bits."""

from __future__ import annotations

import pickle

import pytest
import torch
from PIL import Image

from tests.helpers.damage import DAMAGE
from tests.helpers.vaes import tiny_vae
from textdiff.data import DataConfig, batches, open_data
from textdiff.data.row_cache import RowCache
from textdiff.data.row_file import mapped
from textdiff.errors import DataError
from textdiff.training.latent_images import LatentImages, decoded, latent_images
from textdiff.training.latents import LatentEncoder
from textdiff.vae import LatentCodec

COUNT, SIDE = 6, 16


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(COUNT):
        Image.linear_gradient("L").rotate(i * 20).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(f"number {i}")
    return folder


@pytest.fixture
def config(pictures, tmp_path):
    return DataConfig(source=str(pictures), image_size=SIDE, cache_dir=str(tmp_path / "cache"))


class Counting(LatentEncoder):
    """Notes how many pictures it encodes."""

    encoded = 0

    def rows(self, pictures):
        Counting.encoded += len(pictures)
        return super().rows(pictures)


@pytest.fixture
def encoder():
    Counting.encoded = 0
    return Counting(LatentCodec(tiny_vae(), SIDE))


def filled(config, encoder, split="all"):
    latents = LatentImages(open_data(config, split), encoder)
    latents.fill(encoder)
    return latents


def test_encoded_once_and_read_ever_after(config, encoder):
    data = open_data(config, "all")
    expected = encoder.rows(data.images(range(COUNT)))
    Counting.encoded = 0
    assert torch.equal(filled(config, encoder).read(range(COUNT))[1], expected)
    assert torch.equal(filled(config, encoder).read(range(COUNT))[1], expected)
    assert Counting.encoded == COUNT


def test_pictures_are_read_until_it_is_filled(config, encoder):
    latents = LatentImages(open_data(config, "all"), encoder)
    assert latents.read([0])[1].dtype == torch.uint8


def test_it_is_smaller_than_the_pictures(config, encoder):
    rows = filled(config, encoder).read([0])[1]
    assert rows.numel() * rows.element_size() * 3 == 3 * SIDE**2
    mean = LatentEncoder(encoder.codec, "mean")
    assert filled(config, mean).read([0])[1].numel() * 2 == rows.numel()


def test_a_fill_that_was_stopped_goes_on(config, encoder, monkeypatch):
    monkeypatch.setattr("textdiff.data.row_cache.CHUNK", 2)
    own, calls = Counting.rows, []

    def stopped(self, pictures):
        calls.append(len(pictures))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return own(self, pictures)

    with monkeypatch.context() as patch:
        patch.setattr(Counting, "rows", stopped)
        with pytest.raises(KeyboardInterrupt):
            filled(config, encoder)
    Counting.encoded = 0
    filled(config, encoder)
    assert Counting.encoded == 2


@pytest.mark.parametrize("name", ["latents.npy", "sums.npy", "done.npy", "about.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_no_damage_gives_other_latents(config, encoder, name, damage):
    first = filled(config, encoder)
    expected = first.read(range(COUNT))[1]
    mapped.cache_clear()
    DAMAGE[damage](first.cache.folder / name)
    try:
        again = filled(config, encoder)
    except DataError as error:  # the file is useless as a whole
        assert str(first.cache.folder) in str(error) or str(config.cache_dir) in str(error)
        return
    assert torch.equal(again.read(range(COUNT))[1], expected)


def test_what_was_damaged_is_encoded_again(config, encoder):
    first = filled(config, encoder)
    expected = first.read(range(COUNT))[1]
    file = first.cache.folder / "latents.npy"
    content = bytearray(file.read_bytes())
    content[-3] ^= 8
    file.write_bytes(content)
    Counting.encoded = 0
    again = LatentImages(open_data(config, "all"), encoder)
    assert "1 were damaged and are encoded again" in again.fill(encoder)
    assert Counting.encoded == 1
    assert torch.equal(again.read(range(COUNT))[1], expected)


def test_processes_share_the_search_for_damage(config, encoder, monkeypatch):
    expected = filled(config, encoder).read(range(COUNT))[1]
    looked_at = []
    own = RowCache.spoilt
    monkeypatch.setattr(
        RowCache, "spoilt", lambda cache, rows: looked_at.append(list(rows)) or own(cache, rows)
    )
    ranks = [LatentImages(open_data(config, "all"), encoder) for _ in range(2)]
    file = ranks[0].cache.folder / "latents.npy"
    content = bytearray(file.read_bytes())
    content[-3] ^= 8  # the last row, which is in the second one's share
    file.write_bytes(content)
    told = [latents.fill(encoder, None, rank, 2) for rank, latents in enumerate(ranks)]
    assert looked_at == [[0, 2, 4], [1, 3, 5]]
    assert ["damaged" in each for each in told] == [False, True]
    assert all(torch.equal(latents.read(range(COUNT))[1], expected) for latents in ranks)


def test_pictures_are_decoded_where_latents_are_not_cached(config, encoder):
    data = open_data(config, "all")
    latents = LatentImages(data, encoder)
    assert decoded(data) is data and decoded(latents) is data
    latents.fill(encoder)
    assert decoded(latents) is None


def test_another_vae_has_its_own_and_cannot_be_given_this_one(config, encoder):
    mine = filled(config, encoder)
    other = LatentEncoder(LatentCodec(tiny_vae(seed=1), SIDE))
    theirs = filled(config, other)
    assert mine.cache.folder != theirs.cache.folder
    assert not torch.equal(mine.read([0])[1], theirs.read([0])[1])
    folder = theirs.cache.folder
    folder.rename(folder.with_name("old"))
    mine.cache.folder.rename(folder)
    with pytest.raises(DataError, match=r"rows of another VAE.*delete it"):
        LatentImages(open_data(config, "all"), other)


@pytest.mark.parametrize("change", [{"image_size": 20}, {"resize": "pad"}])
def test_what_decides_how_pictures_look_has_its_own(config, encoder, change):
    folder = filled(config, encoder).cache.folder
    other = config.model_copy(update=change)
    codec = LatentCodec(encoder.vae, other.image_size)
    assert filled(other, LatentEncoder(codec)).cache.folder != folder


def test_pictures_that_cannot_be_used_are_replaced_as_without_a_cache(config, pictures, encoder):
    (pictures / "2.png").write_bytes(b"no image")
    config = config.model_copy(update={"max_bad_fraction": 0.5})
    latents, plain = filled(config, encoder), open_data(config, "all")
    assert latents.bad.keys() == {2}
    used, rows = latents.read([1, 2, 3])
    expected, images = plain.read([1, 2, 3])
    assert used == expected == [1, 3, 3]
    assert torch.equal(rows, encoder.rows(images))
    assert latents.usable([1, 2, 3])[0] == [1, 3]


def test_workers_get_the_name_of_the_cache_and_no_network(config, encoder):
    latents = filled(config, encoder)
    copy = pickle.loads(pickle.dumps(latents))
    assert len(pickle.dumps(latents)) < 20_000
    assert torch.equal(copy.read([3])[1], latents.read([3])[1])


def test_batches_hold_rows(config, encoder):
    steps = batches(filled(config, encoder), seed=0, batch_size=4)
    plain = batches(open_data(config, "all"), seed=0, batch_size=4)
    (rows,), (images,) = next(steps), next(plain)
    assert torch.equal(rows.image, encoder.rows(images.image))
    assert rows.captions == images.captions


def test_where_there_is_a_cache(config, encoder, monkeypatch):
    def opened(**change):
        return latent_images(open_data(config.model_copy(update=change), "all"), encoder)

    assert isinstance(opened(), LatentImages)
    assert not isinstance(opened(cache="off"), LatentImages)
    monkeypatch.setattr("textdiff.training.latent_images.free_bytes", lambda config: 100)
    assert "no cache of latents" in opened().notes[-1]
    with pytest.raises(DataError, match=r"GB free: set data\.cache_dir"):
        opened(cache="on")


def test_a_run_that_reads_less_than_it_would_encode_has_none(config, encoder):
    latents = LatentImages(open_data(config, "all"), encoder)
    assert "no cache" in latents.fill(encoder, reads=COUNT - 1)
    assert not latents.is_cached
    assert "are read from" in latents.fill(encoder, reads=COUNT)


def test_latents_that_are_no_numbers(config, encoder):
    for parameter in encoder.vae.network.quant_conv.parameters():
        parameter.data.fill_(1e6)
    with pytest.raises(DataError, match=r"latents of 0\.png that are NaN or beyond 65504"):
        filled(config, encoder)
