"""Pictures in black and white."""

from __future__ import annotations

import torch

from textdiff.pictures import binarised


def test_binarised_is_the_grey_level():
    colours = [
        [255, 255, 255],
        [0, 0, 0],
        [128, 128, 128],
        [127, 127, 127],
        [0, 255, 0],
        [0, 0, 255],
    ]
    image = torch.tensor(colours, dtype=torch.uint8).view(-1, 3, 1, 1)
    assert binarised(image).flatten().tolist() == [1, -1, 1, -1, 1, -1]
    assert binarised(image, 0.6).flatten().tolist() == [1, -1, -1, -1, -1, -1]
    assert torch.equal(binarised(image[:4, :1]), binarised(image[:4]))
