"""A picture to start from, and a mask of what to draw anew.

init image ── as the data room reads pictures ──► (3, S, S) uint8
mask ── what is painted ── cut alike; a pixel that it touches counts ──► (1, S, S) bool

A mask without transparency is painted where it is white. One on a transparent canvas, as a brush
leaves it, is painted where it is not transparent, whatever the colour; black beside brighter
strokes unpaints again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from textdiff.data.config import DataConfig
from textdiff.data.decode import to_rgb, to_square
from textdiff.data.grid import to_pil
from textdiff.errors import UsageError
from textdiff.types import Pictures

IMG2IMG_STRENGTH = 0.6
WHITE_FROM = 128  # mask pixels of at least this grey are white
SMALLEST_SHARE = 1e-7  # of a pixel that is covered; less is rounding


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
        return cls(pixels, strength or 1.0, _touched(painted_pixels(mask), size))

    def redraw_at(self, side: int) -> Tensor | None:
        """(1, side, side) bool, for x_t of that size: a place is drawn anew where any pixel of it
        is. None: everywhere."""
        if self.redraw is None:
            return None
        size = self.redraw.shape[-1] // side
        return F.max_pool2d(self.redraw[None].float(), size)[0] > 0

    def pasted(self, pictures: Pictures) -> Pictures:
        """Pictures (n, 3, S, S) with the pixels that are not drawn anew as they were."""
        if self.redraw is None:
            return pictures
        return torch.where(self.redraw, pictures, self.picture)

    def kept_steps(self, grid: Tensor, num_timesteps: int, listed: bool = False) -> Tensor:
        """The timestep that `strength` T steps of noise end in, and of the ascending `grid` those
        below it: the same strength starts from the same noise on every grid. The whole grid at
        strength 1.

        listed: the user named each timestep of the grid, so none is added.

        Raises:
            UsageError: listed timesteps of which none lies below the strength.
        """
        if self.strength == 1:
            return grid
        start = max(0, math.ceil(self.strength * num_timesteps) - 1)
        if not listed:
            return torch.cat([grid[grid < start], grid.new_tensor([start])])
        if not (grid <= start).any():
            raise UsageError(
                f"strength {self.strength:g} goes back to timestep {start}, below all of timesteps;"
                f" list a lower one, or give a strength above {int(grid[0]) / num_timesteps:g}"
            )
        return grid[grid <= start]


def painted_pixels(mask: Image.Image | Tensor) -> NDArray[np.bool_]:
    """(H, W), True where the mask says to draw anew."""
    if isinstance(mask, Image.Image) and mask.has_transparency_data:
        pixels = np.asarray(ImageOps.exif_transpose(mask).convert("RGBA"))
        touched = pixels[..., 3] > 0
        if not touched.all():
            bright = touched & (pixels[..., :3].max(axis=-1) >= WHITE_FROM)
            return bright if bright.any() else touched
    return np.asarray(_rgb("mask", mask).convert("L")) >= WHITE_FROM


def _touched(painted: NDArray[np.bool_], size: int) -> Tensor:
    """(1, size, size) bool: cut as the picture is, True where a pixel covers anything painted."""
    share = Image.fromarray(painted.astype(np.float32))
    fitted = ImageOps.fit(share, (size, size), method=Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(fitted) > SMALLEST_SHARE)[None]


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
