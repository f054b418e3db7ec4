"""Members grouped by key as webdataset does."""

from __future__ import annotations

import itertools
import re

import pytest

from textdiff.data.survey import FlawedError
from textdiff.data.tar_index import Member
from textdiff.data.tar_samples import picture_of, samples_of, split_name

WEBDATASETS = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")  # base_plus_ext of webdataset 1.0.2


def files(*names: str) -> list[Member]:
    return [Member(name, "file", 0, 1) for name in names]


def named(*names: str) -> dict[str, Member]:
    return {split_name(name)[1]: Member(name, "file", 0, 1) for name in names}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.jpg", ("a", "jpg")),
        ("b.x/a.seg.PNG", ("b.x/a", "seg.png")),
        ("a.", ("a", "")),
        ("b.x/a", None),
        ("b/.jpg", None),
    ],
)
def test_key_and_extension(name, parts):
    assert split_name(name) == parts


def test_names_as_webdataset_splits_them():
    """All names of up to six of these letters but those with a dot in front, which are hidden."""
    letters = (itertools.product("a./", repeat=length) for length in range(1, 7))
    for name in map("".join, itertools.chain(*letters)):
        if not name.rpartition("/")[2].startswith("."):
            match = WEBDATASETS.match(name)
            assert split_name(name) == (match.groups() if match else None)


def test_members_of_a_key_need_not_follow_each_other():
    samples = samples_of(files("b.jpg", "a.jpg", "a.txt", "b.txt", "b.SEG.png"), "0.tar")
    assert {key: list(sample) for key, sample in samples.of.items()} == {
        "b": ["jpg", "txt", "seg.png"],
        "a": ["jpg", "txt"],
    }
    assert samples.flaws == [] and samples.ignored == {}


def test_a_name_given_twice_spoils_its_key_alone():
    samples = samples_of(files("a.jpg", "a.txt", "a.JPG", "b.jpg"), "0.tar")
    assert list(samples.of) == ["b"]
    assert [(flaw.where, flaw.reason) for flaw in samples.flaws] == [
        ("0.tar/a.JPG", "name given twice")
    ]


def test_what_is_ignored():
    names = ("._a.jpg", "x/.cache/a.jpg", "__meta__", "__x__/a.jpg", "README")
    assert samples_of(files(*names), "0.tar").ignored == {
        "hidden": ["0.tar/._a.jpg", "0.tar/x/.cache/a.jpg"],
        "webdataset's own": ["0.tar/__meta__", "0.tar/__x__/a.jpg"],
        "name without an extension": ["0.tar/README"],
    }


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("link", "link"), ("special", "not a regular file"), ("sparse", "sparse")],
)
def test_what_is_no_file_is_refused(kind, reason):
    samples = samples_of([Member("a.jpg", kind, 0, 1)], "0.tar")
    assert samples.of == {}
    assert reason in samples.flaws[0].reason and samples.flaws[0].where == "0.tar/a.jpg"


@pytest.mark.parametrize(
    ("names", "wanted", "extension"),
    [
        (("a.txt", "a.jpg", "a.npy"), None, "jpg"),
        (("a.jpg", "a.png"), ".PNG", "png"),
        (("a.jpg", "a.seg.png"), "seg.png", "seg.png"),
        (("a.jpg", "a.seg.png"), None, "jpg"),
        (("a.txt", "a.json"), None, None),
        (("a.txt", "a.json"), "jpg", None),
        (("a.heic",), None, None),
    ],
)
def test_which_member_is_the_picture(names, wanted, extension):
    assert picture_of(named(*names), wanted) == extension


@pytest.mark.parametrize(
    ("names", "wanted", "message"),
    [
        (("a.jpg", "a.png"), None, "both jpg and png; name one with data.image_column"),
        (("a.jpg", "a.txt"), "png", r"no \.png; it has jpg, txt"),
        (("a.heic", "a.txt"), None, "heic is a kind of picture that cannot be read"),
    ],
)
def test_a_picture_that_cannot_be_used(names, wanted, message):
    with pytest.raises(FlawedError, match=message):
        picture_of(named(*names), wanted)
