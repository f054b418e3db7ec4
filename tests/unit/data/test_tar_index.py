"""Members by their headers: where they are, and every way in which a tar is none."""

from __future__ import annotations

import gzip
import io
import os
import tarfile

import pytest

from tests.helpers.tars import member, write_tar
from textdiff.data import DataConfig, tar_index
from textdiff.data.shards import Shard
from textdiff.data.tar_index import BLOCK, Member, members_of, read_headers
from textdiff.errors import DataError

FILES = {"a.txt": "one", "b/c.txt": "x" * 600, "é.txt": "", f"{'long/' * 60}d.txt": "four"}
FORMS = [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def error(path) -> str:
    with pytest.raises(DataError) as caught:
        read_headers(Shard.at(path))
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


@pytest.mark.parametrize("form", FORMS)
def test_each_file_where_it_is(tmp_path, form):
    path = write_tar(tmp_path / "a.tar", FILES, form=form)
    content = path.read_bytes()
    found = {
        m.name: content[m.offset : m.offset + m.size].decode() for m in read_headers(Shard.at(path))
    }
    assert found == FILES


def test_names(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", encoding="latin-1", format=tarfile.USTAR_FORMAT) as tar:
        for name in ("./a.txt", "caf\xe9.txt", "folder/"):
            tar.addfile(member(name, kind=tarfile.DIRTYPE if name[-1] == "/" else b"0"))
    assert [m.name for m in read_headers(Shard.at(path))] == ["a.txt", "caf\\xe9.txt"]


def test_kinds(tmp_path):
    others = [
        member("link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        member("hard", kind=tarfile.LNKTYPE, link="a.txt"),
        member("pipe", kind=tarfile.FIFOTYPE),
        member("device", kind=tarfile.CHRTYPE),
    ]
    path = write_tar(tmp_path / "a.tar", {"a.txt": "one"}, *others)
    kinds = {m.name: m.kind for m in read_headers(Shard.at(path))}
    assert kinds == {
        "a.txt": "file",
        "link": "link",
        "hard": "link",
        "pipe": "special",
        "device": "special",
    }


def test_headers_alone_are_read(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar", {"a.bin": bytes(10**6), "b.bin": bytes(10**6)})
    read = []
    own = tar_index._Headers.read

    def counted(file, size=-1, /):
        read.append(size)
        return own(file, size)

    monkeypatch.setattr(tar_index._Headers, "read", counted)
    assert len(read_headers(Shard.at(path))) == 2
    tail = read.pop()  # what follows the end
    assert sum(read) < 10 * BLOCK and tail == tar_index.TAIL


@pytest.mark.parametrize("kept", [BLOCK + 2, BLOCK + 300, 2 * BLOCK + 400, 4 * BLOCK + 7])
def test_cut_off_within_a_member_or_header(tmp_path, kept):
    path = write_tar(tmp_path / "a.tar", {"a.txt": "one", "b.txt": "x" * 600})
    os.truncate(path, kept)
    message = error(path)
    assert "is cut off" in message and "copy it again" in message
    if kept == 4 * BLOCK + 7:
        assert "'b.txt' at byte 1,536 should end at byte 2,560, the file has 2,055" in message


def test_cut_off_between_members(tmp_path):
    """GNU tar and tarfile take it for the end."""
    path = write_tar(tmp_path / "a.tar", {"a.txt": "one", "b.txt": "two"})
    os.truncate(path, 2 * BLOCK)
    assert "is cut off at byte 1,024" in error(path)


def test_a_damaged_header(tmp_path):
    """tarfile takes it for the end, and what follows would be lost without a word."""
    path = write_tar(tmp_path / "a.tar", {"a.txt": "one", "b.txt": "two", "c.txt": "three"})
    content = bytearray(path.read_bytes())
    content[2 * BLOCK + 10] ^= 1
    path.write_bytes(content)
    assert "is damaged: no header of a tar at byte 1,024" in error(path)


def test_two_archives_in_one_file(tmp_path):
    one, two = (write_tar(tmp_path / f"{n}.tar", {f"{n}.txt": "x"}) for n in "ab")
    one.write_bytes(one.read_bytes() + two.read_bytes())
    assert "goes on after the end of its archive at byte 1,024" in error(one)


@pytest.mark.parametrize("content", [b"", b"<html>" * 300, bytes(range(256)) * 8])
def test_what_is_no_tar(tmp_path, content):
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    assert "cannot be read as a tar" in error(path)


def test_compressed_under_the_name_of_a_tar(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"a.txt": "one"})
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert "is compressed (gzip)" in error(path)


def test_a_header_that_states_a_huge_name(tmp_path):
    path = tmp_path / "a.tar"
    info = member("x", 2**40, tarfile.GNUTYPE_LONGNAME)
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2 * BLOCK))
    assert "a header states 1,099,511,627,776 bytes of attributes" in error(path)


def test_a_negative_size(tmp_path):
    """Python before 3.11.14 reads such a tar for ever."""
    path = tmp_path / "a.tar"
    info, first = member("x"), member("a").tobuf()
    info.size = -2 * BLOCK
    path.write_bytes(first + info.tobuf(tarfile.GNU_FORMAT) + bytes(2 * BLOCK))
    assert "cannot be read as a tar" in error(path)


def test_attributes_of_attributes_without_end(tmp_path):
    header = member("x", kind=tarfile.XHDTYPE).tobuf()
    path = tmp_path / "a.tar"
    path.write_bytes(header * 5000 + bytes(2 * BLOCK))
    assert "cannot be read as a tar" in error(path)


def test_a_sparse_member(tmp_path):
    name = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
    info = member("a.bin", BLOCK)
    info.pax_headers = name
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b"1\n0\n9\n".ljust(BLOCK, b"\0")))
        tar.addfile(member("b.txt"))
    assert [m.kind for m in read_headers(Shard.at(path))] == ["sparse", "file"]


# The index on disk


@pytest.fixture
def config(tmp_path) -> DataConfig:
    return DataConfig(cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def indexed(monkeypatch) -> list[str]:
    """Paths of the shards whose headers have been read."""
    paths: list[str] = []
    own = read_headers

    def counted(shard: Shard) -> list[Member]:
        paths.append(shard.path)
        return own(shard)

    monkeypatch.setattr(tar_index, "read_headers", counted)
    return paths


def test_headers_are_read_once(tmp_path, config, indexed):
    path = write_tar(tmp_path / "a.tar", FILES, form=tarfile.PAX_FORMAT)
    first = members_of(Shard.at(path), config)
    assert members_of(Shard.at(path), config) == first == read_headers(Shard.at(path))
    assert len(indexed) == 1


def test_a_changed_shard_is_read_again(tmp_path, config, indexed):
    path = write_tar(tmp_path / "a.tar", {"a.txt": "one"})
    members_of(Shard.at(path), config)
    write_tar(path, {"b.txt": "one"})
    os.utime(path, ns=(1, 1))
    assert [m.name for m in members_of(Shard.at(path), config)] == ["b.txt"]
    assert len(indexed) == 2


@pytest.mark.parametrize("content", ["", "[[1]]", "7", '{"a": 1}', "\udcff"])
def test_a_damaged_index_is_made_again(tmp_path, config, content):
    shard = Shard.at(write_tar(tmp_path / "a.tar", {"a.txt": "one"}))
    expected = members_of(shard, config)
    (file,) = (tmp_path / "cache" / "shards").iterdir()
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert members_of(shard, config) == expected
    assert members_of(shard, config) == expected


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "cache").write_text("a file")
    shard = Shard.at(write_tar(tmp_path / "a.tar", {"a.txt": "one"}))
    with pytest.raises(DataError, match=r"cache folder .* cannot be used: .* data\.cache_dir"):
        members_of(shard, DataConfig(cache_dir=str(tmp_path / "cache")))
