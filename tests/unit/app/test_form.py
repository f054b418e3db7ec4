"""Settings that are typed as YAML into the form: plain values, within bounds."""

from __future__ import annotations

import pytest

from textdiff.app.page.form import read_others
from textdiff.errors import UsageError

LAUGHS = "a: &a [x, x, x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}]\n"
    for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
)


def test_lines_of_settings():
    assert read_others("eta: 0.5\nspacing: trailing") == {"eta": 0.5, "spacing": "trailing"}
    assert read_others("") == {} and read_others("# nothing") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "more than 100,000 values"),
        ("eta: " + "[" * 5000, "nested"),
        (f"eta: {'1' * 5000}", "a number of 5,000 characters"),
        ("eta: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("eta: [", "other settings: "),
        ("- eta", "type lines such as 'eta: 0.5'"),
        ("1: 2", "type lines such as 'eta: 0.5'"),
        ("mask: a.png", "goes with a picture"),
    ],
)
def test_what_is_none_is_refused_in_one_line(text, said):
    with pytest.raises(UsageError, match=said) as error:
        read_others(text)
    assert len(str(error.value)) < 300 and "\n" not in str(error.value)
