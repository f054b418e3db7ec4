"""A first layer by which an image tower reads latents in place of pixels.

    vision transformer   patches of p x p places; p gives about as many patches as there were, and
                         positions are interpolated where there are not as many
    ResNet               the first convolution again, with as much of the stem's stride, which is 4,
                         as leaves the size that the stages were trained on

Everything behind it stays, so that fine-tuning starts from what the tower knows of pictures.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from textdiff.errors import UsageError
from textdiff.types import Features, Images

if TYPE_CHECKING:
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.transformer import VisionTransformer

RESNET_STEM = 4  # the stride of a ResNet's stem


def read_latents(visual: nn.Module, channels: int, side: int) -> None:
    """Gives an open_clip image tower a random first layer for latents (B, channels, side, side).
    Its `image_size` stays that of the pictures.

    Raises:
        UsageError: a tower of another kind, or one whose size latents do not fit.
    """
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.transformer import VisionTransformer

    if isinstance(visual, VisionTransformer):
        _transformer(visual, channels, side)
    elif isinstance(visual, ModifiedResNet):
        _resnet(visual, channels, side)
    else:
        raise UsageError(
            f"this CLIP's image tower ({type(visual).__name__}) cannot be made to read latents; "
            "take a vision transformer or a ResNet of open_clip"
        )


def patch_side(side: int, grid: int) -> int:
    """Of the divisors of `side`, the one that gives nearest to `grid` patches a side."""
    divisors = [p for p in range(1, side + 1) if side % p == 0]
    return min(divisors, key=lambda p: abs(side / p - grid))


def _transformer(visual: VisionTransformer, channels: int, side: int) -> None:
    width, grid = visual.conv1.out_channels, visual.grid_size[0]
    patch = patch_side(side, grid)
    visual.conv1 = nn.Conv2d(channels, width, patch, stride=patch, bias=False)
    visual.patch_size = (patch, patch)
    visual.grid_size = (side // patch, side // patch)
    positions = resized_positions(visual.positional_embedding.detach(), side // patch)
    visual.positional_embedding = nn.Parameter(positions)


def resized_positions(positions: Features, grid: int) -> Features:
    """(1 + grid^2, W) from those of another grid, bicubic; the class token's first."""
    own, places = positions[:1], positions[1:]
    before = math.isqrt(len(places))
    if before == grid:
        return positions.clone()
    maps = places.T.view(1, -1, before, before)
    maps = F.interpolate(maps, (grid, grid), mode="bicubic", antialias=True)
    return torch.cat([own, maps.flatten(2)[0].T])


def _resnet(visual: ModifiedResNet, channels: int, side: int) -> None:
    wanted = visual.image_size // RESNET_STEM
    larger, rest = divmod(side, wanted)
    smaller, left = divmod(wanted, side)
    if (rest and left) or larger not in (0, 1, 2, RESNET_STEM):
        raise UsageError(
            f"latents of {side} x {side} do not fit this CLIP's ResNet, whose stages see "
            f"{wanted} x {wanted}; take a CLIP of pictures of {RESNET_STEM * side} pixels"
        )
    conv = nn.Conv2d(
        channels,
        visual.conv1.out_channels,
        kernel_size=3,
        stride=2 if larger > 1 else 1,
        padding=1,
        bias=False,
    )
    enlarged = nn.Upsample(scale_factor=smaller) if smaller > 1 else nn.Identity()
    visual.conv1 = nn.Sequential(enlarged, conv)
    if larger < RESNET_STEM:
        visual.avgpool = nn.Identity()


@torch.no_grad()
def fit_to_pixels(visual: VisionTransformer, latents: Images, embedded: Images) -> None:
    """Sets the first layer of a transformer that reads latents to what, by least squares, makes of
    the latents of pictures what the old one made of their pixels.

    Args:
        latents: (n, C, side, side), normalised.
        embedded: (n, W, g, g), patches of the same pictures as the old first layer embeds them,
            without positions.
    """
    conv, grid = visual.conv1, visual.grid_size[0]
    if embedded.shape[-1] != grid:
        embedded = F.interpolate(embedded, (grid, grid), mode="bicubic", antialias=True)
    patches = F.unfold(latents, conv.kernel_size, stride=conv.stride)
    x = patches.transpose(1, 2).flatten(0, 1).double()
    y = embedded.flatten(2).transpose(1, 2).flatten(0, 1).double()
    weight, constant = ridge(x, y)
    conv.weight.copy_(weight.T.reshape(conv.weight.shape))
    visual.positional_embedding[1:] += constant.to(visual.positional_embedding)


def ridge(
    x: Float[Tensor, "n inputs"], y: Float[Tensor, "n outputs"], strength: float = 1e-4
) -> tuple[Float[Tensor, "inputs outputs"], Float[Tensor, " outputs"]]:
    """W and b of y ~ x W + b. strength: of the penalty of W, times the mean variance of x."""
    mean_x, mean_y = x.mean(0), y.mean(0)
    x, y = x - mean_x, y - mean_y
    gram = x.T @ x
    penalty = (strength * gram.diagonal().mean()).clamp(min=torch.finfo(gram.dtype).tiny)
    weight = torch.linalg.solve(gram + penalty * torch.eye(len(gram)).to(gram), x.T @ y)
    return weight, mean_y - mean_x @ weight
