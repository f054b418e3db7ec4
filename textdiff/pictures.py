"""The codec between stored pictures and what is diffused.

    stored: uint8 (B, 3, S, S), 0..255        diffused: float x_0 (B, C, H, W)

    pixels   x_0 = 2u/255 - 1                              C = 3, in [-1, 1]
    bits     x_0 = +1 where grey >= threshold, else -1     C = 1
    latents  of a VAE, see `vae.codec`                     mean 0 and deviation 1, unbounded

Whoever diffuses pictures asks a codec for their shape and for both ways. CLIP alone reads stored
pictures by itself (`clip.model`), for its own range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from textdiff.types import Images, Pictures, Samples

CHANNELS = 3  # of a stored picture
GREY = (0.299, 0.587, 0.114)  # luma of ITU-R 601, as Pillow's mode L
HALF_RANGE = 127.5


Bytes = UInt8[Tensor, "*shape"]
Floats = Float[Tensor, "*shape"]


@runtime_checkable
class PictureCodec(Protocol):
    """How stored pictures become x_0, and x_0 becomes pictures again.

    shape: (C, H, W) of x_0. image_size: side of the pictures.
    bounded: whether every x_0 lies in [-1, 1], so that an x_0_hat may be kept there.
    """

    @property
    def shape(self) -> tuple[int, int, int]: ...

    @property
    def image_size(self) -> int: ...

    @property
    def bounded(self) -> bool: ...

    def encode(self, pictures: Pictures, dtype: torch.dtype = torch.float32) -> Images:
        """x_0 of stored pictures, on their device."""
        ...

    def images(self, x_0: Samples) -> Images:
        """(B, 3, S, S) in about [-1, 1], not clipped; gradients flow to x_0."""
        ...

    def decode(self, x_0: Images) -> Pictures:
        """Stored pictures of x_0, on the CPU; values out of range are clipped."""
        ...

    def preview(self, x_0_hat: Images) -> Pictures:
        """What is worth showing of an x_0_hat under way: quick, perhaps cruder than `decode`."""
        ...


def to_float(pictures: Bytes, dtype: torch.dtype = torch.float32) -> Floats:
    """uint8 0..255 to [-1, 1]."""
    return pictures.to(dtype) / HALF_RANGE - 1


def to_levels(images: Floats) -> Floats:
    """[-1, 1] to grey levels 0..255, neither clipped nor rounded, in the images' precision."""
    return (images + 1) * HALF_RANGE


def to_uint8(images: Floats) -> Bytes:
    """[-1, 1], clipped, to uint8 0..255 on the CPU."""
    return to_levels(images.float().clamp(-1, 1)).round().to(torch.uint8).cpu()


def binarised(pictures: Tensor, threshold: float = 0.5) -> Images:
    """Grey levels 0..255 (B, 1 or 3, H, W) to float32 (B, 1, H, W): +1 from `threshold`, a share of
    white, on; else -1."""
    grey = pictures.float() / 255
    if grey.shape[1] == CHANNELS:
        weights = torch.tensor(GREY, device=grey.device).view(1, CHANNELS, 1, 1)
        grey = (grey * weights).sum(1, keepdim=True)
    return torch.where(grey >= threshold, 1.0, -1.0)


@dataclass(frozen=True)
class PixelCodec:
    """Colour pixels of a square picture in [-1, 1]."""

    bounded: ClassVar[bool] = True

    image_size: int

    @property
    def shape(self) -> tuple[int, int, int]:
        return CHANNELS, self.image_size, self.image_size

    def images(self, x_0: Samples) -> Images:
        return x_0

    def encode(self, pictures: Pictures, dtype: torch.dtype = torch.float32) -> Images:
        return to_float(pictures, dtype)

    def decode(self, x_0: Images) -> Pictures:
        return to_uint8(x_0)

    def preview(self, x_0_hat: Images) -> Pictures:
        return to_uint8(x_0_hat)


@dataclass(frozen=True)
class BitCodec:
    """Black and white pixels, -1 and +1, white from the grey `threshold` on, a share of white."""

    bounded: ClassVar[bool] = True

    image_size: int
    threshold: float = 0.5

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, self.image_size, self.image_size

    def encode(self, pictures: Pictures, dtype: torch.dtype = torch.float32) -> Images:
        return binarised(pictures, self.threshold).to(dtype)

    def images(self, x_0: Samples) -> Images:
        return x_0.expand(-1, CHANNELS, -1, -1)

    def decode(self, x_0: Images) -> Pictures:
        return ((x_0 > 0) * 255).to(torch.uint8).expand(-1, CHANNELS, -1, -1).cpu()

    def preview(self, x_0_hat: Images) -> Pictures:
        """In greys: how sure each pixel is."""
        return to_uint8(x_0_hat).expand(-1, CHANNELS, -1, -1)
