"""Pictures with their captions on one sheet.

each picture x integer factor (nearest: pixels stay pixels) -> cell with up to three label lines
"""

from __future__ import annotations

import contextlib
import logging
import math
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

# Fonts of many scripts, found by Pillow where the system keeps its own.
FONTS = (
    *("NotoSans-Regular.ttf", "NotoSansCJK-Regular.ttc", "DejaVuSans.ttf", "unifont.ttf"),
    *("Arial Unicode.ttf", "arialuni.ttf", "msyh.ttc", "Hiragino Sans GB.ttc"),
)
PICTURE_SIDE = 96  # pictures are scaled up to at least this
GAP = 12
LABEL_LINES = 3
LABEL_LETTERS = 500  # more fit no label; the rest of a longer text is not even looked at
LABEL_SIZE = 13
TITLE_SIZE = 18
TITLE_ROOM = 480  # a sheet of few pictures grows up to this for its title
INK, PAPER, FRAME = (40, 40, 40), (255, 255, 255), (226, 226, 226)


def to_pil(images: Tensor) -> list[Image.Image]:
    """Pictures of a uint8 batch (n, 3, H, W)."""
    return [Image.fromarray(image.permute(1, 2, 0).cpu().numpy()) for image in images]


def labelled_grid(
    images: Sequence[Image.Image], labels: Sequence[str], columns: int, title: str | None = None
) -> Image.Image:
    """Pictures of one size in rows of `columns`, each above its label; `title` on top.

    Labels wrap to three lines, then end in an ellipsis. A label is drawn in the first font that has
    all its letters: the built-in one, then those of `FONTS` that this machine has. Where none has,
    letters lose their accents or become '?', and a warning says which. Raises ValueError without
    pictures or one label for each.
    """
    if not images or len(images) != len(labels):
        raise ValueError(f"{len(images)} pictures and {len(labels)} labels: need one label each")
    factor = max(1, math.ceil(PICTURE_SIDE / max(max(image.size) for image in images)))
    width = factor * max(image.width for image in images)
    height = factor * max(image.height for image in images)
    fonts = fonts_for(labels, LABEL_SIZE)
    line_height = max(sum(font.getmetrics()) for font in fonts) + 1
    wrapped = [
        wrap(printable(label, font), width, font.getlength)
        for label, font in zip(labels, fonts, strict=True)
    ]
    label_height = max(map(len, wrapped)) * line_height + (4 if any(wrapped) else 0)
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    top = GAP + (TITLE_SIZE + GAP if title else 0)
    sheet_width = GAP + columns * (width + GAP)
    if title:
        (title_font,) = fonts_for([title], TITLE_SIZE)
        title = printable(title, title_font)
        needed = math.ceil(title_font.getlength(title)) + 2 * GAP
        sheet_width = max(sheet_width, min(needed, TITLE_ROOM))
    sheet = Image.new("RGB", (sheet_width, top + rows * (height + label_height + GAP)), PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        room = sheet.width - 2 * GAP
        shortened = wrap(title, room, title_font.getlength, max_lines=1)
        draw.text((GAP, GAP - 2), "".join(shortened), INK, title_font)
    for index, (image, lines, font) in enumerate(zip(images, wrapped, fonts, strict=True)):
        x = GAP + index % columns * (width + GAP)
        y = top + index // columns * (height + label_height + GAP)
        scaled = image.convert("RGB").resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
        sheet.paste(scaled, (x, y))
        draw.rectangle((x - 1, y - 1, x + scaled.width, y + scaled.height), outline=FRAME)
        for number, line in enumerate(lines):
            centred = x + (width - font.getlength(line)) / 2
            draw.text((centred, y + height + 4 + number * line_height), line, INK, font)
    return sheet


def stacked(sheets: Sequence[Image.Image]) -> Image.Image:
    """One below the other."""
    width, height = max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets)
    whole, top = Image.new("RGB", (width, height), PAPER), 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    return whole


def wrap(
    text: str, width: float, length: Callable[[str], float], max_lines: int = LABEL_LINES
) -> list[str]:
    """`text` in at most `max_lines` lines; if it is longer, the last one ends in an ellipsis.

    Args:
        width: of a line, at most; `length` measures it.
    """
    lines: list[str] = []
    cut = len(text) > LABEL_LETTERS
    for word in text[:LABEL_LETTERS].split():
        if lines and length(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
            continue
        lines.append(word)
        while length(lines[-1]) > width and len(lines[-1]) > 1:  # a word too long for a line
            fits = max(1, bisect_right(range(1, len(word)), width, key=lambda n: length(word[:n])))
            lines[-1:] = [word[:fits], word[fits:]]
            word = word[fits:]
    if cut or len(lines) > max_lines:
        *lines, last = lines[:max_lines] or [""]
        while last and length(f"{last}...") > width:
            last = last[:-1]
        lines.append(f"{last.rstrip()}...")
    return lines


def fonts_for(labels: Sequence[str], size: int) -> list[ImageFont.FreeTypeFont]:
    """For each label the first font that has all its letters; the built-in one where none has, with
    one warning that says which letters are missing."""
    fonts, chosen, missing = [_font(size)], [], ""
    for label in labels:
        if lacking(label, fonts[0]) and len(fonts) == 1:
            fonts += _fonts_here(size)
        whole = next((font for font in fonts if not lacking(label, font)), None)
        if whole is None:
            missing += lacking(label, fonts[0])
        chosen.append(whole or fonts[0])
    if missing:
        logging.getLogger(__name__).warning(
            "no font here has these letters of the labels: %s; install one, such as %s",
            "".join(dict.fromkeys(missing)).encode("utf-8", "replace").decode(),
            FONTS[0],
        )
    return chosen


def lacking(text: str, font: ImageFont.FreeTypeFont) -> str:
    """The characters of `text` that `font` cannot draw. Those that join or change the ones before
    them (joiners, variation selectors) are never drawn, and none of them."""
    missing = _glyph("\U0010ffff", font)
    return "".join(
        char
        for char in dict.fromkeys(text)
        if not char.isspace()
        and unicodedata.category(char) not in ("Cf", "Mn")
        and (ord(char) < 32 or _glyph(char, font) == missing)
    )


def _fonts_here(size: int) -> list[ImageFont.FreeTypeFont]:
    found = []
    for name in FONTS:
        with contextlib.suppress(OSError):  # not on this machine
            found.append(ImageFont.truetype(name, size))
    return found


def printable(text: str, font: ImageFont.FreeTypeFont) -> str:
    """`text` with each character that `font` lacks replaced by its base letter, or by '?'."""
    missing = _glyph("\U0010ffff", font)

    def can_draw(char: str) -> bool:
        return char.isspace() or (ord(char) > 31 and _glyph(char, font) != missing)

    def fold(char: str) -> str:
        if can_draw(char):
            return char
        if unicodedata.category(char) == "Pd":  # dashes
            return "-"
        base = [c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c)]
        return "".join(c if can_draw(c) else "?" for c in base)

    return "".join(map(fold, text[: LABEL_LETTERS + 1]))


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("labels need a Pillow that is built with FreeType")
    return font


def _glyph(char: str, font: ImageFont.FreeTypeFont) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(char)
    return mask.size, bytes(mask)
