"""Pictures inside of the page."""

from __future__ import annotations

import base64
import io

import numpy as np
import torch
from PIL import Image

from textdiff.evaluation.report.images import SIDE, of_tensor, picture


def opened(uri: str) -> Image.Image:
    head, content = uri.split(",", 1)
    assert head.startswith("data:image/")
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_small_pictures_keep_every_pixel():
    image = torch.randint(256, (3, 32, 32), dtype=torch.uint8)
    shown = of_tensor(image, "a red apple", "34.2")
    pixels = torch.from_numpy(np.array(opened(shown.source))).permute(2, 0, 1)
    assert torch.equal(pixels, image)
    assert (shown.caption, shown.alt, shown.badge) == ("a red apple", "a red apple", "34.2")
    assert shown.pixels


def test_large_pictures_are_made_smaller():
    shown = picture(Image.new("RGB", (512, 256), "red"), "", alt="red")
    with opened(shown.source) as image:
        assert (image.format, image.size) == ("JPEG", (SIDE, SIDE // 2))
    assert not shown.pixels
    assert len(shown.source) < 4000


def test_what_does_not_print_is_written_out():
    shown = picture(Image.new("RGB", (4, 4)), "a\u202eb\x00" + "c" * 500)
    assert shown.caption.startswith("a\\u202eb\\x00c")
    assert len(shown.caption) < 250
