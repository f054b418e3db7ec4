"""Which entries are chosen where a limit is set."""

from textdiff.data.entries import Entry, choose


def test_choosing_is_stable_under_growth_of_the_limit():
    entries = [Entry(str(i), ("a",), str(i)) for i in range(100)]
    ten, twenty = choose(entries, 10), choose(entries, 20)
    assert len(ten) == 10 and set(ten) < set(twenty)
    assert twenty == sorted(twenty, key=entries.index)
    assert choose(entries, None) == choose(entries, 1000) == entries
