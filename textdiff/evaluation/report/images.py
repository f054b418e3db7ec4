"""Pictures as parts of the page: data: URIs, so that the file needs nothing beside it.

small ones (up to PIXELS) stay PNG at their own size and are enlarged by the page, square by square;
large ones are made smaller and JPEG: a page with two hundred of them stays a few megabytes.
"""

from __future__ import annotations

import base64
import io

from PIL import Image
from torch import Tensor

from textdiff.data.text import shown
from textdiff.evaluation.report.document import Picture

PIXELS = 64  # sides up to which pixels are kept as they are
SIDE = 160  # of larger pictures, at most
QUALITY = 85
CAPTION_LETTERS = 200


def picture(image: Image.Image, caption: str, badge: str = "", alt: str = "") -> Picture:
    """caption: a prompt, as it is. alt: none: the caption."""
    words, small = shown(caption, CAPTION_LETTERS), max(image.size) <= PIXELS
    told = shown(alt or caption, CAPTION_LETTERS) or "a picture without caption"
    return Picture(data_uri(image), told, words, shown(badge), small)


def of_tensor(image: Tensor, caption: str, badge: str = "", alt: str = "") -> Picture:
    """As `picture`, of (3, S, S) uint8."""
    pixels = image.permute(1, 2, 0).cpu().numpy()
    return picture(Image.fromarray(pixels), caption, badge, alt)


def data_uri(image: Image.Image) -> str:
    """PNG of a small picture, JPEG of a large one."""
    image, content = image.convert("RGB"), io.BytesIO()
    if max(image.size) <= PIXELS:
        image.save(content, "PNG", optimize=True)
        kind = "png"
    else:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        image.save(content, "JPEG", quality=QUALITY, optimize=True)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
