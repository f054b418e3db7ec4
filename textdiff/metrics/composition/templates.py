"""What a thing of one box side adds to a picture of its background.

    R = C_rgb + (1 - C_a) B     the thing, premultiplied RGBA, over a background of colour B
    D = blur(R - B)             what it adds, blurred as pictures are (see `smooth`)

Pictures are compared in sRGB from 0 to 1, the space that scenes are composed in, so that a thing
adds the same D to a picture wherever it lies, beside whatever else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from textdiff.metrics.composition.smooth import smooth


@dataclass(frozen=True)
class Templates:
    """The N things of one box side; b is that side and the blur's margin on both ends.

    added: (N, 3 b b), D. energy: (N,), |D|^2.
    coarse: (N, 3 c c), means of `pool` x `pool` pixels of D, the box rounded up to c = ceil(b /
        pool) of them. coarse_energy: (N,), their squares.
    """

    side: int
    pool: int
    added: Float[Tensor, "things values"]
    energy: Float[Tensor, " things"]
    coarse: Float[Tensor, "things coarse"]
    coarse_energy: Float[Tensor, " things"]

    def __len__(self) -> int:
        return len(self.energy)

    @property
    def coarse_side(self) -> int:
        return math.ceil(self.side / self.pool)

    def coarse_gains(
        self, patches: Float[Tensor, "batch coarse places"]
    ) -> Float[Tensor, "batch things places"]:
        """2 <J, D> - |D|^2 of all things, on means of pixels."""
        return (2 * self.coarse @ patches).sub_(self.coarse_energy[:, None])

    def gains(
        self, boxes: Float[Tensor, "boxes values"], thing: Int[Tensor, "boxes few"]
    ) -> Float[Tensor, "boxes few"]:
        """2 <J, D> - |D|^2 of some things for each box."""
        inner = (self.added[thing] @ boxes[:, :, None])[:, :, 0]
        return 2 * inner - self.energy[thing]


def templates_on(
    background: Float[Tensor, " 3"],
    sprites: Float[Tensor, "things 4 side side"],
    image_size: int,
    pool: int,
) -> Templates:
    """Of sprites (N, 4, s, s), premultiplied, on a background (3,), all from 0 to 1."""
    added = smooth(sprites[:, :3] - sprites[:, 3:] * background[:, None, None], image_size)
    side = added.shape[-1]
    rest = -side % pool
    coarse = F.avg_pool2d(F.pad(added, (0, rest, 0, rest)), pool).flatten(1).contiguous()
    added = added.flatten(1)
    return Templates(
        side=side,
        pool=pool,
        added=added,
        energy=added.square().sum(1),
        coarse=coarse,
        coarse_energy=coarse.square().sum(1),
    )
