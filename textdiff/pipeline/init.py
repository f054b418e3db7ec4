"""A picture to start from, and a mask of what to draw anew.

init image ── as the data room reads pictures ──► (3, S, S) uint8
mask, white = draw anew, black = keep ── cut alike, nearest ──► (1, S, S) bool
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from textdiff.data.config import DataConfig
from textdiff.data.decode import to_rgb, to_square
from textdiff.data.grid import to_pil
from textdiff.errors import UsageError

IMG2IMG_STRENGTH = 0.6
WHITE_FROM = 128  # mask pixels of at least this grey are white


@dataclass(frozen=True)
class Init:
    """What pictures start from.

    picture: (3, S, S) uint8.
    strength: in (0, 1], the share of the forward process that is gone back.
    redraw: (1, S, S) bool, True where pixels are drawn anew; None: everywhere.
    """

    picture: Tensor
    strength: float
    redraw: Tensor | None = None

    @classmethod
    def from_pictures(
        cls,
        image: Image.Image | Tensor | None,
        mask: Image.Image | Tensor | None,
        strength: float | None,
        size: int,
    ) -> Init | None:
        """Of a picture of any size and mode, resized and cropped to `size` pixels a side.

        image, mask: a PIL image, or a uint8 tensor (3, H, W). No image: None.

        Raises:
            UsageError: a mask without an image or of another size than it.
            BadImage: a picture that cannot be converted.
        """
        if image is None:
            if mask is not None:
                raise UsageError("a mask without an init image; give the picture it is for")
            return None
        pixels = square_picture("init_image", image, size)
        if mask is None:
            return cls(pixels, strength or IMG2IMG_STRENGTH)
        picture, painted = _rgb("init_image", image), _rgb("mask", mask)
        if painted.size != picture.size:
            sizes = ["{}x{}".format(*each.size) for each in (painted, picture)]
            raise UsageError(
                f"the mask is {sizes[0]}, the init image {sizes[1]}; give a mask of the same size"
            )
        config = DataConfig(image_size=size, resample="nearest")
        redraw = to_square(painted.convert("L").convert("RGB"), config)[:1] >= WHITE_FROM
        return cls(pixels, strength or 1.0, redraw)

    def kept_steps(self, grid: Tensor, num_timesteps: int) -> Tensor:
        """Of the ascending timesteps `grid` those below `strength` T, at least one: the same
        strength starts from the same noise on every grid."""
        return grid[: max(1, int((grid < self.strength * num_timesteps).sum()))]


def square_picture(name: str, image: Image.Image | Tensor, size: int) -> Tensor:
    """A picture of any size and mode as (3, size, size) uint8. Raises as `Init.from_pictures`."""
    return to_square(_rgb(name, image), DataConfig(image_size=size))


def _rgb(name: str, image: Image.Image | Tensor) -> Image.Image:
    if isinstance(image, Tensor):
        if image.dtype != torch.uint8 or image.ndim != 3 or len(image) != 3:
            raise UsageError(
                f"{name} is a tensor {tuple(image.shape)} of {image.dtype}; "
                "give (3, H, W) of uint8, or a PIL image"
            )
        (image,) = to_pil(image[None])
    return to_rgb(image)
