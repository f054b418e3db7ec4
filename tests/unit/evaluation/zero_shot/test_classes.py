"""Lists of classes, and how data spell them."""

from __future__ import annotations

import pytest
import torch

from textdiff.errors import DataError, UsageError
from textdiff.evaluation.zero_shot.classes import Classes, classes_named, read_classes


@pytest.fixture
def listed(tmp_path):
    def read(text: str) -> Classes:
        (tmp_path / "classes.txt").write_text(text, "utf-8")
        return read_classes(str(tmp_path / "classes.txt"))

    return read


def test_names_and_ids(listed):
    classes = listed("\ufeffapple\n\nn07\thot dog\r\n  sea lion \n")
    assert classes.names == ("apple", "hot dog", "sea lion")
    assert classes.ids == (None, "n07", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no class; a picture is told among two or more"),
        ("\n \n", "has no class"),
        ("apple\n", "has only the class 'apple'"),
        ("apple\npear\nApple\n", "line 3: 'Apple' is in line 1 already"),
        ("a\tapple\na\tpear\n", "line 2: 'a' is in line 1 already"),
        ("a\tapple\nb\tapple\n", "line 2: 'b' is in line 1 already"),
        ("a\tapple\tpear\n", "line 1: give a name, or id, tab and name"),
        ("a\t\n", "line 1: give a name"),
    ],
)
def test_unusable_lists(listed, text, message):
    with pytest.raises(UsageError) as error:
        listed(text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"^--classes .*none.txt"):
        read_classes(str(tmp_path / "none.txt"))


def test_open_clips_names_of_imagenet():
    classes = read_classes("imagenet")
    assert (len(classes), classes.names[0], classes.names[999]) == (1000, "tench", "toilet paper")
    repeated = [classes.names[k] for k in (657, 744, 836, 837)]
    assert repeated == ["missile", "missile", "sunglasses", "sunglasses"]
    numbers = classes.name_numbers
    assert numbers[657] == numbers[744] and len(numbers.unique()) == 998


def test_spellings(listed):
    classes = listed("n02\tSea lion\n7\thot dog\nb\tapple")
    spellings = ["n02", "Sea lion", "sea_lion", "HOT DOG", "7", "apple", "2", "0"]
    labels = classes.labels(spellings, spellings)
    assert labels.tolist() == [0, 0, 0, 1, 1, 2, 2, 0]


@pytest.mark.parametrize(
    ("spelling", "hint"),
    [("aple", "did you mean 'apple'?"), ("3", "start with"), ("-1", "start with"), ("", "start")],
)
def test_a_spelling_of_no_class(listed, spelling, hint):
    classes = listed("apple\npear\nplum")
    with pytest.raises(DataError) as error:
        classes.labels(["pear", spelling, "???"], ["a.png", "b.png", "c.png"])
    said = str(error.value)
    assert said.startswith(f"b.png: '{spelling}' is no class of ")
    assert "nor are 1 others of the data" in said and hint in said


def test_named_by_the_data():
    classes = classes_named("folders of x", ["hot_dog", "apple", "hot_dog"])
    assert (classes.names, classes.ids) == (("apple", "hot dog"), (None, "hot_dog"))
    assert torch.equal(classes.labels(["hot_dog", "apple"], ["a", "b"]), torch.tensor([1, 0]))
    with pytest.raises(UsageError, match="folders of x has only the class 'apple'"):
        classes_named("folders of x", ["apple", "apple"])


def test_the_fingerprint_is_of_the_order_too(listed):
    prints = {listed(text).fingerprint for text in ("a\nb", "b\na", "x\ta\nb", "a\n\nb")}
    assert len(prints) == 3
