"""A finished grid as one picture: what varies along its edges, scores below the pictures.

          guidance_scale 1    guidance_scale 3
ddim           [ ]  [ ]            [ ]  [ ]
                 24.1                30.2
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from textdiff.data.grid import (
    FRAME,
    GAP,
    INK,
    LABEL_SIZE,
    PAPER,
    PICTURE_SIDE,
    fonts_for,
    printable,
    wrap,
)

MARGIN = 150  # for the labels of the rows
BAND = 60  # for those of the columns
SCORE_BAND = 22


@dataclass(frozen=True)
class SheetCell:
    """pictures: of one size; none where nothing could be drawn. below: its score, or why not."""

    pictures: Sequence[Image.Image]
    below: str = ""


def labelled_sheet(
    cells: Sequence[Sequence[SheetCell]],
    columns: Sequence[str],
    rows: Sequence[str],
    title: str,
) -> Image.Image:
    """cells: by row. rows: a label each; one empty label: there is one row, without.

    Raises:
        ValueError: labels for another number of rows or columns, or no picture in any cell.
    """
    if len(cells) != len(rows) or any(len(row) != len(columns) for row in cells):
        raise ValueError(f"{len(rows)} and {len(columns)} labels for a grid of other size")
    every = [picture for row in cells for cell in row for picture in cell.pictures]
    if not every:
        raise ValueError("no cell has a picture")
    factor = max(1, math.ceil(PICTURE_SIDE / max(max(each.size) for each in every)))
    side = factor * max(max(each.size) for each in every)
    across = max(len(cell.pictures) for row in cells for cell in row)
    width, height = across * (side + 2), side + SCORE_BAND
    left = GAP + (MARGIN if any(rows) else 0)
    top = GAP + 2 * LABEL_SIZE + BAND
    sheet = Image.new(
        "RGB",
        (left + len(columns) * (width + GAP), top + len(cells) * (height + GAP)),
        PAPER,
    )
    pen = _Pen(ImageDraw.Draw(sheet))
    pen.write(title, (GAP, GAP), sheet.width - 2 * GAP, lines=1)
    for number, label in enumerate(columns):
        at = left + number * (width + GAP), top - BAND
        pen.write(label, at, width, centred=True)
    for row, of_row in enumerate(cells):
        y = top + row * (height + GAP)
        pen.write(rows[row], (GAP, y), MARGIN - GAP, lines=6)
        for column, cell in enumerate(of_row):
            x = left + column * (width + GAP)
            for number, picture in enumerate(cell.pictures):
                scaled = picture.convert("RGB").resize(
                    (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
                )
                sheet.paste(scaled, (x + number * (side + 2), y))
            pen.draw.rectangle((x - 1, y - 1, x + width - 1, y + side), outline=FRAME)
            pen.write(cell.below, (x, y + side + 3), width, lines=1, centred=True)
    return sheet


@dataclass(frozen=True)
class _Pen:
    draw: ImageDraw.ImageDraw

    def write(
        self,
        text: str,
        at: tuple[float, float],
        width: float,
        lines: int = 3,
        centred: bool = False,
    ) -> None:
        """Wrapped to `width`; what no font here has becomes '?'."""
        font: ImageFont.FreeTypeFont
        (font,) = fonts_for([text], LABEL_SIZE)
        left, y = at
        for line in wrap(printable(text, font), width, font.getlength, lines):
            x = left + (width - font.getlength(line)) / 2 if centred else left
            self.draw.text((x, y), line, INK, font)
            y += sum(font.getmetrics()) + 1
