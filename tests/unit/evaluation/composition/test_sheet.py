"""The sheet of right and wrong pictures, and the words for what was read."""

from __future__ import annotations

from dataclasses import replace

import torch
from PIL import Image

from textdiff.data.scenes.facts import Scene, Thing
from textdiff.evaluation.composition.asked import Asked
from textdiff.evaluation.composition.measure import Read
from textdiff.evaluation.composition.sheet import SIDE, described, save_sheet, spread
from textdiff.metrics.composition.agreement import agreement
from textdiff.metrics.composition.reader import Reading

PIG = Thing("pig", "blue", 0.6, 0.5, 0.5)


def read_of(*right: bool) -> Read:
    """Pictures of one prompt, of which these were read as it says."""
    scene = Scene((PIG,))
    pictures = torch.zeros(len(right), 3, 32, 32, dtype=torch.uint8)
    asked = Asked(["a blue pig"], [scene], pictures, torch.zeros(len(right), dtype=torch.long))
    readings = [Reading((PIG,) if each else (), "white", 0.1) for each in right]
    return Read(asked, readings, [agreement(each, scene) for each in readings])


def test_a_row_of_right_ones_and_one_of_wrong_ones(tmp_path, capsys):
    heights, widths = {}, {}
    for name, drawn in {
        "right": {"val": read_of(True, True)},
        "both": {"val": read_of(True, True, False)},
        "splits": {"val": read_of(True, True, False), "test": read_of(False)},
    }.items():
        file = tmp_path / "new" / f"{name}.png"
        save_sheet(file, drawn, 3)
        with Image.open(file) as sheet:
            heights[name], widths[name] = sheet.height, sheet.width
        assert f"pictures: {file}" in capsys.readouterr().out
    assert SIDE < heights["right"] < heights["both"] - SIDE < heights["splits"] - 2 * SIDE
    assert 2 * SIDE < widths["right"] < 3 * SIDE


def test_pictures_are_chosen_far_apart():
    assert spread(range(10), 3) == [0, 3, 6]
    assert spread([4, 7], 3) == [4, 7]
    assert spread([], 3) == []


def test_words_for_what_was_read():
    read = Reading((PIG, replace(PIG, colour="red"), PIG), "green", 0.1)
    assert described(read) == "2 blue pig, red pig on green"
    assert described(Reading((PIG,), "white", 0.1)) == "blue pig"
    assert described(Reading((), None, None)) == "nothing"
