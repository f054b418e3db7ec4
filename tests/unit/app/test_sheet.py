"""A grid as one picture: every pixel of every picture is on it, beside its labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from textdiff.app.sheet import SheetCell, labelled_sheet


def picture(colour: tuple[int, int, int], side: int = 8) -> Image.Image:
    return Image.new("RGB", (side, side), colour)


@settings(max_examples=25)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    count=st.integers(1, 3),
    side=st.integers(1, 20),
)
def test_each_picture_is_there_at_a_whole_multiple_of_its_size(rows, columns, count, side):
    numbers = range(rows * columns * count)
    colours = [(200 - number, 10 + number, 120) for number in numbers]
    cells = [
        [
            SheetCell(
                [
                    picture(colours[(row * columns + column) * count + k], side)
                    for k in range(count)
                ],
                "31.4",
            )
            for column in range(columns)
        ]
        for row in range(rows)
    ]
    labels = [f"row {row}" for row in range(rows)]
    sheet = labelled_sheet(cells, [f"guidance {k}" for k in range(columns)], labels, "a cat")
    pixels = np.asarray(sheet).astype(np.int64) @ (1 << 16, 1 << 8, 1)
    counts = dict(zip(*np.unique(pixels, return_counts=True), strict=True))
    factor = -(-96 // side)
    for red, green, blue in colours:
        assert counts[red << 16 | green << 8 | blue] == (factor * side) ** 2


def test_labels_are_written():
    cells = [[SheetCell([picture((9, 9, 200))], "31.4")]]
    plain = np.asarray(labelled_sheet(cells, [""], [""], "").convert("L"))
    labelled = np.asarray(labelled_sheet(cells, ["guidance 3"], ["ddim"], "a cat").convert("L"))
    assert (labelled < 128).sum() > (plain < 128).sum() + 100
    assert labelled.shape[1] > plain.shape[1]  # room for the labels of rows


def test_a_cell_without_a_picture_says_why():
    cells = [[SheetCell([picture((0, 0, 0))]), SheetCell([], "not drawn")]]
    sheet = np.asarray(labelled_sheet(cells, ["a", "b"], [""], "t").convert("L"))
    right = sheet[:, sheet.shape[1] // 2 :]
    assert (right < 128).any()


@pytest.mark.parametrize(
    ("cells", "columns", "rows", "words"),
    [
        ([[SheetCell([])]], ["a"], [""], "no cell has a picture"),
        ([[SheetCell([])]], ["a", "b"], [""], "labels for a grid of other size"),
        ([], ["a"], [""], "labels for a grid of other size"),
    ],
)
def test_grids_that_cannot_be_laid_out(cells, columns, rows, words):
    with pytest.raises(ValueError, match=words):
        labelled_sheet(cells, columns, rows, "t")
