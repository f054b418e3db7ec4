"""Every value is in one range, and ranges follow each other."""

from hypothesis import given
from hypothesis import strategies as st

from textdiff.data.histogram import Range, by_doubling, histogram


def test_by_given_starts():
    assert histogram([1.0, 1.05, 4.0, 99.0], [1.0, 1.1, 2.0, 5.0]) == [
        *(Range(1.0, 1.1, 2), Range(1.1, 2.0, 0)),
        *(Range(2.0, 5.0, 1), Range(5.0, None, 1)),
    ]


def test_ranges_without_values_at_the_ends_are_left_out():
    assert by_doubling([24, 24, 25]) == [Range(23, 32, 3)]
    assert histogram([1.5], [1.0, 1.1, 2.0]) == [Range(1.1, 2.0, 1)]
    assert by_doubling([]) == [] and histogram([], [1.0]) == []


@given(st.lists(st.integers(1, 10**6), min_size=1))
def test_each_whole_number_is_counted_once_where_it_belongs(values):
    ranges = by_doubling(values)
    assert [before.high for before in ranges[:-1]] == [after.low for after in ranges[1:]]
    for each in ranges:
        assert each.high is not None and each.low < each.high <= max(2, 1.5 * each.low)
        assert each.count == sum(each.low <= value < each.high for value in values)
