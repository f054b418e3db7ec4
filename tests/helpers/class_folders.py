"""The sixteen shapes in folders of their colours, without captions."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.shapes import COLOURS, SHAPES, draw_shape


def write_class_folders(root: Path, *, ids: dict[str, str] | None = None) -> Path:
    """root/red/circle.png, ...; or by the `ids` of the colours instead of their names."""
    for colour in COLOURS:
        folder = root / (ids[colour] if ids else colour)
        folder.mkdir(parents=True)
        for shape in SHAPES:
            draw_shape(colour, shape).save(folder / f"{shape}.png")
    return root
