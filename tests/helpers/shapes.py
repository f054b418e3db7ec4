"""Sixteen captioned pictures: four shapes in four colours."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {"red": "#e02020", "green": "#20b020", "blue": "#2040e0", "yellow": "#e8d020"}
SHAPES = ("circle", "square", "triangle", "cross")


def draw_shape(colour: str, shape: str, side: int = 16) -> Image.Image:
    image = Image.new("RGB", (side, side), "white")
    pen, box = ImageDraw.Draw(image), (3, 3, side - 4, side - 4)
    if shape == "circle":
        pen.ellipse(box, COLOURS[colour])
    elif shape == "square":
        pen.rectangle(box, COLOURS[colour])
    elif shape == "triangle":
        pen.polygon([(side // 2, 3), (3, side - 4), (side - 4, side - 4)], COLOURS[colour])
    else:
        pen.line((3, 3, side - 4, side - 4), COLOURS[colour], 3)
        pen.line((3, side - 4, side - 4, 3), COLOURS[colour], 3)
    return image


def write_shapes(folder: Path) -> Path:
    """16 shapes with captions; the blue ones are val, the yellow ones test."""
    with_split = {"blue": "val", "yellow": "test"}
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for colour in COLOURS:
        for shape in SHAPES:
            name = f"{colour}-{shape}.png"
            draw_shape(colour, shape).save(folder / name)
            row = {"file_name": name, "text": f"{colour} {shape}"}
            lines.append(json.dumps({**row, "split": with_split.get(colour, "train")}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder
