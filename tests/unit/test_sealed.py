"""Sealed files: back as they were, the same bytes for the same content, spoilt ones refused."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.command import python
from textdiff.errors import DataError
from textdiff.sealed import read_sealed, text_as_tensor, text_of_tensor, write_sealed

ABOUT = {"format": 3, "what": "äpfel"}
TENSORS = {"b": torch.arange(6).view(2, 3), "a": torch.tensor([0.5, -1.5])}
KIND = {"what": "apples", "written_by": "textdiff pick", "number": 3}


@pytest.fixture
def path(tmp_path):
    write_sealed(tmp_path / "new" / "f.safetensors", ABOUT, TENSORS)
    return tmp_path / "new" / "f.safetensors"


def test_back_as_they_were(path):
    about, tensors = read_sealed(path, **KIND)
    assert about == ABOUT
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.slow
def test_other_processes_write_the_same_bytes(path, tmp_path):
    """The order of a dict of several entries would be left to chance."""
    script = (
        "import sys, torch; from textdiff.sealed import write_sealed; "
        "tensors = {'b': torch.arange(6).view(2, 3), 'a': torch.tensor([0.5, -1.5])}; "
        "write_sealed(sys.argv[1], {'format': 3, 'what': 'äpfel'}, tensors)"
    )
    for number in range(2):
        other = tmp_path / f"{number}.safetensors"
        done = python("-c", script, other)
        assert done.returncode == 0, done.stderr
        assert other.read_bytes() == path.read_bytes()


def test_each_byte_counts(path):
    whole = path.read_bytes()
    for place in (9, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1
        path.write_bytes(spoilt)
        with pytest.raises(DataError, match=r"f\.safetensors"):
            read_sealed(path, **KIND)


@pytest.mark.parametrize(
    ("kind", "said"),
    [({"number": 4}, "apples of format 3, this version reads 4; write it again with 'textdiff p")],
)
def test_another_format(path, kind, said):
    with pytest.raises(DataError, match=said):
        read_sealed(path, **{**KIND, **kind})


def test_missing_cut_off_and_never_sealed(path, tmp_path):
    from safetensors.torch import save_file

    save_file(TENSORS, tmp_path / "plain.safetensors")
    with pytest.raises(DataError, match="no file of apples; 'textdiff pick' writes one"):
        read_sealed(tmp_path / "plain.safetensors", **KIND)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="cannot be read as apples"):
        read_sealed(path, **KIND)
    with pytest.raises(DataError, match="no-such"):
        read_sealed(tmp_path / "no-such", **KIND)


def test_text_as_bytes():
    content = [["a", "ein grüner Apfel"], {"b": None}]
    assert text_of_tensor(text_as_tensor(content)) == content
