"""The sheet of pictures, noise and reconstructions."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from textdiff.evaluation.inversion.measure import Inversion
from textdiff.evaluation.inversion.sheet import save_sheet
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.pictures import PixelCodec


@pytest.mark.parametrize("count", [2, 9])
def test_a_row_per_picture_with_two_more_cells_per_number_of_steps(tmp_path, count):
    images = torch.zeros(3, 3, 16, 16, dtype=torch.uint8)
    pictures = PromptedPictures(["red", "green", "blue"], images)
    noise = torch.zeros(3, 3, 16, 16)
    inversions = [Inversion(steps, noise, noise - 1) for steps in (5, 20)]
    path = tmp_path / "new" / "sheet.png"
    save_sheet(path, PixelCodec(16), pictures, inversions, count)
    rows = min(count, 3)
    with Image.open(path) as sheet:
        assert 5 * 96 < sheet.width < 6 * 96
        assert rows * 96 < sheet.height < (rows + 1.7) * 96
