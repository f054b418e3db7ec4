"""What the rooms hand to each other: Batch -> Conditioning -> Denoise -> Prediction.

`Denoise(x_t, timestep) -> Prediction` is the spine: conditioning is bound before sampling, guidance
takes a Denoise and returns a Denoise, samplers see neither text nor CLIP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

Images = Float[Tensor, "batch channels height width"]  # float in [-1, 1], or latents; or noised
Samples = Float[Tensor, "batch *shape"]  # x_0, x_t, eps: images, latents or embeddings
Pictures = UInt8[Tensor, "batch 3 height width"]  # as stored, 0..255
Timesteps = Int[Tensor, " batch"]  # 0 = least noisy .. T-1
PerSample = Float[Tensor, " batch"]
Output = Float[Tensor, "batch ..."]  # of a network for x_t: its channels, or twice as many
Features = Float[Tensor, "batch dim"]
TokenFeatures = Float[Tensor, "batch tokens dim"]
TokenMask = Bool[Tensor, "batch tokens"]

# a network with its conditioning bound, such as a U-Net: its output for x_t at `timestep`
Network = Callable[[Samples, Timesteps], Output]
# the same with two texts bound to each row: its outputs (conditional, unconditional), in one pass
NetworkPair = Callable[[Samples, Timesteps], tuple[Output, Output]]


@dataclass(frozen=True)
class Conditioning:
    """What a U-Net sees of a prompt, and an unCLIP decoder of a picture besides.

    tokens: (B, L, D) features of the text tower after its final layer norm.
    pooled: (B, P) projected feature at the end-of-text token, of norm sqrt(P); None: unused.
    mask: (B, L) True at real tokens, the end-of-text token included; None: all are real.
    image: (B, E) CLIP embedding z_i of a picture, of norm sqrt(E), or 0 where a decoder is to know
        none; None: unused.
    """

    tokens: TokenFeatures
    pooled: Features | None = None
    mask: TokenMask | None = None
    image: Features | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Conditioning:
        """`function` applied to each tensor, e.g. `lambda tensor: tensor[:4]`."""

        def mapped(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else function(tensor)

        return Conditioning(
            function(self.tokens), mapped(self.pooled), mapped(self.mask), mapped(self.image)
        )

    def to(self, device: torch.device | str) -> Conditioning:
        return self.map(lambda tensor: tensor.to(device))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: slice | list[int] | Tensor) -> Conditioning:
        return self.map(lambda tensor: tensor[index])

    def repeat(self, count: int) -> Conditioning:
        """Each prompt `count` times in a row."""
        return self.map(lambda tensor: tensor.repeat_interleave(count, dim=0))

    @staticmethod
    def cat(parts: Sequence[Conditioning]) -> Conditioning:
        """Along the batch.

        Raises:
            ValueError: the parts differ in L, or in which of the optional fields they hold.
        """

        def join(optional: list[Tensor | None]) -> Tensor | None:
            tensors = [tensor for tensor in optional if tensor is not None]
            if 0 < len(tensors) < len(optional):
                raise ValueError(
                    "some of these hold pooled features, a mask or an image, others do not"
                )
            return torch.cat(tensors) if tensors else None

        if len({part.tokens.shape[1] for part in parts}) > 1:
            raise ValueError("these have token features of different lengths")
        return Conditioning(
            torch.cat([part.tokens for part in parts]),
            join([part.pooled for part in parts]),
            join([part.mask for part in parts]),
            join([part.image for part in parts]),
        )


@dataclass(frozen=True)
class Batch:
    """Captioned images.

    image: (B, C, H, W) uint8; of data that hold embeddings of images (B, E) float32.
    captions: one per image, drawn from those the image has.
    sample_ids: (B,) int64, the image's index in its source.
    epochs: (B,) int64, which pass over the data this draw belongs to.
    """

    image: Tensor
    captions: list[str]
    sample_ids: Tensor
    epochs: Tensor


@dataclass(frozen=True)
class Prediction:
    """What a denoiser predicts from x_t; every field has x_t's shape (B, ...).

    variance_mix: v of a learned variance, 0 for beta_tilde and 1 for beta of whichever chain is
        sampled (see `diffusion.variance`); None where the network learns none.
    gradient: g = scale * d log p(c | x_t) / d x_t of what guides besides (see `guidance.
        clip_gradient`), not yet part of x_0 and eps: a sampler adds it in its own way (see
        `sampling.score`). None: unguided.
    """

    x_0: Samples
    eps: Samples
    variance_mix: Samples | None = None
    gradient: Samples | None = None

    def __getitem__(self, rows: slice | list[int]) -> Prediction:
        """Of these samples, in this order."""

        def pick(tensor: Samples | None) -> Samples | None:
            return None if tensor is None else tensor[rows]

        return Prediction(
            self.x_0[rows], self.eps[rows], pick(self.variance_mix), pick(self.gradient)
        )

    @staticmethod
    def cat(parts: Sequence[Prediction]) -> Prediction:
        """Along the batch; all of `parts` come from one denoiser, so they have the same fields."""

        def join(optional: list[Samples | None]) -> Samples | None:
            tensors = [tensor for tensor in optional if tensor is not None]
            return torch.cat(tensors) if tensors else None

        return Prediction(
            torch.cat([part.x_0 for part in parts]),
            torch.cat([part.eps for part in parts]),
            join([part.variance_mix for part in parts]),
            join([part.gradient for part in parts]),
        )


@runtime_checkable
class Denoise(Protocol):
    """A denoiser with its conditioning bound: x_t (B, ...), timestep (B,) int64."""

    def __call__(self, x_t: Samples, timestep: Timesteps, /) -> Prediction: ...
