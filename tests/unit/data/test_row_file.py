"""Rows in a file, each with a checksum."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.damage import DAMAGE
from textdiff.data.row_file import (
    IMAGES,
    SUMS,
    DamagedRowError,
    RowFile,
    add_sums,
    make_row_file,
    mapped,
)

SHAPE = (5, 3, 8, 8)
PIXELS = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture
def folder(tmp_path) -> Path:
    make_row_file(tmp_path, SHAPE)
    RowFile(tmp_path, SHAPE).write(dict(enumerate(PIXELS)))
    mapped.cache_clear()
    return tmp_path


def test_what_is_written_is_read(folder):
    pixels = RowFile(folder, SHAPE)
    assert all(torch.equal(pixels[k], torch.from_numpy(PIXELS[k])) for k in range(len(PIXELS)))
    assert np.array_equal(np.load(folder / IMAGES), PIXELS)


def test_rows_need_not_lie_in_memory_as_they_do_in_the_file(folder):
    """What a renderer yields may be a view with the channels last."""
    picture = np.moveaxis(np.ascontiguousarray(np.moveaxis(PIXELS[2], 0, -1)), -1, 0)
    assert not picture.flags.c_contiguous
    pixels = RowFile(folder, SHAPE)
    pixels.write({0: picture})
    assert torch.equal(pixels[0], torch.from_numpy(PIXELS[2]))


def test_what_is_written_later_is_seen_by_who_has_it_open(folder):
    pixels = RowFile(folder, SHAPE)
    pixels[1]
    RowFile(folder, SHAPE).write({1: PIXELS[4]})
    assert torch.equal(pixels[1], torch.from_numpy(PIXELS[4]))


def all_rows(folder: Path) -> torch.Tensor:
    pixels = RowFile(folder, SHAPE)
    return torch.stack([pixels[row] for row in range(len(PIXELS))])


@pytest.mark.parametrize("name", [IMAGES, SUMS])
@pytest.mark.parametrize("damage", DAMAGE)
def test_every_damage_to_either_file_is_found(folder, name, damage):
    DAMAGE[damage](folder / name)
    with pytest.raises((ValueError, OSError)):
        all_rows(folder)


def test_damage_to_a_row_leaves_the_others(folder):
    DAMAGE["last bit flipped"](folder / IMAGES)
    pixels = RowFile(folder, SHAPE)
    assert torch.equal(pixels[3], torch.from_numpy(PIXELS[3]))
    with pytest.raises(DamagedRowError, match=r"row 4 of .*images\.npy is damaged"):
        pixels[4]


def test_a_row_that_was_never_written_is_damaged(tmp_path):
    make_row_file(tmp_path, SHAPE)
    with pytest.raises(DamagedRowError):
        RowFile(tmp_path, SHAPE)[0]


@pytest.mark.parametrize("shape", [(4, 3, 8, 8), (5, 3, 9, 9), (5, 8, 8, 3)])
def test_pictures_of_another_shape_are_refused(folder, shape):
    with pytest.raises(ValueError, match=r"images\.npy has uint8 \(5, 3, 8, 8\) in place of"):
        RowFile(folder, shape)


def test_an_array_of_objects_is_not_unpickled(folder):
    np.save(folder / IMAGES, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        RowFile(folder, SHAPE)


def test_a_folder_of_before_gets_its_sums_once(folder):
    expected = np.load(folder / SUMS)
    (folder / SUMS).unlink()
    add_sums(folder)
    assert np.array_equal(np.load(folder / SUMS), expected)
    DAMAGE["last bit flipped"](folder / IMAGES)
    add_sums(folder)
    mapped.cache_clear()
    with pytest.raises(DamagedRowError):
        RowFile(folder, SHAPE)[4]


def test_a_copy_is_small(folder):
    pixels = RowFile(folder, SHAPE)
    pixels[0]
    assert len(pickle.dumps(pixels)) < 1000


def test_a_full_disk_is_an_error_where_a_map_would_end_the_process(tmp_path):
    """/dev/full fails as a full disk does; the rows lie in a file of its own."""
    make_row_file(tmp_path, SHAPE)
    pixels = RowFile(tmp_path, SHAPE)
    (tmp_path / IMAGES).unlink()
    (tmp_path / IMAGES).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        pixels.write({0: PIXELS[0]})
