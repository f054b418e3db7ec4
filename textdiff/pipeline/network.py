"""The U-Net as a sampling run calls it: text bound, at its precision, parts of it kept.

distinct prompts, negative ── embed ── UNet.bind, once ──► rows of a batch ──► TextNetwork

An unCLIP decoder sees an embedding of a picture besides, one for each row.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.cuda_graphs import Graphs
from textdiff.models.bound import BoundText
from textdiff.models.unet import UNet
from textdiff.pipeline.config import GuidanceOver
from textdiff.types import Conditioning, Features, Images, Output, Samples, Timesteps


class GuidedNetwork(Protocol):
    """A network with two texts bound to each row: what is wanted and what guidance leaves."""

    def __call__(self, x_t: Samples, timestep: Timesteps) -> Output:
        """With the first alone."""
        ...

    def pair(self, x_t: Samples, timestep: Timesteps) -> tuple[Output, Output]:
        """(conditional, unconditional) outputs, in one pass."""
        ...


@dataclass(frozen=True)
class TextNetwork:
    """A U-Net with B prompts bound, and their B negatives, for one run down a grid of timesteps.

    As a call it is the network with the prompts alone; `pair` is the network with both texts for
    each picture, in one pass. It takes and returns pictures of any precision.
    """

    unet: UNet
    prompts: BoundText
    both: BoundText
    graphs: Graphs | None = None

    @classmethod
    def bind(
        cls,
        unet: UNet,
        embed: Callable[[list[str]], Conditioning],
        prompts: Sequence[str],
        negative_prompt: str,
        timesteps: Tensor,
        *,
        image: Features | None = None,
        guidance_over: GuidanceOver = "both",
        deep_cache_every: int = 1,
        graphs: Graphs | None = None,
    ) -> TextNetwork:
        """For the ascending `timesteps` (N,). Each distinct text is encoded once, and projected
        once where there are no pictures.

        Args:
            embed: the conditioning of texts.
            image: (B, E) embeddings of pictures, of norm sqrt(E), where the U-Net is a decoder.
            guidance_over: what negatives lack: their embedding is 0, their text negative_prompt.
        """
        distinct = list(dict.fromkeys([*prompts, negative_prompt]))
        place = {text: row for row, text in enumerate(distinct)}
        rows = [place[prompt] for prompt in prompts]
        negative = [place[negative_prompt]] * len(rows)
        if image is None:
            both = unet.bind(embed(distinct), timesteps)[rows + negative]
        else:
            text = embed(distinct)[rows + (rows if guidance_over == "image" else negative)]
            of_negative = image if guidance_over == "caption" else torch.zeros_like(image)
            both = unet.bind(replace(text, image=torch.cat([image, of_negative])), timesteps)
        alone = both[: len(rows)]
        alone, both = alone.reusing(deep_cache_every), both.reusing(deep_cache_every)
        return cls(unet, alone, both, graphs)

    def __call__(self, x_t: Images, timestep: Timesteps) -> Tensor:
        return run_bound(self.unet, self.prompts, x_t, timestep, self.graphs)

    def pair(self, x_t: Images, timestep: Timesteps) -> tuple[Tensor, Tensor]:
        """(conditional, unconditional) outputs for the same x_t (B, C, H, W)."""
        conditional, unconditional = run_bound(
            self.unet, self.both, x_t, timestep, self.graphs
        ).chunk(2)
        return conditional, unconditional


def run_bound(
    unet: UNet,
    text: BoundText,
    x_t: Images,
    timestep: Timesteps,
    graphs: Graphs | None = None,
) -> Tensor:
    """The output for pictures of any precision, in theirs, whatever that of `unet`.

    graphs: play the layers back as one, where no gradient is to flow through them and no part of
        them is kept from another step.
    """
    x = x_t.to(unet.conv_in.weight.dtype)
    if graphs is None or text.deep is not None or x.requires_grad:
        return unet(x, timestep, text).to(x_t.dtype)

    def layers(x: Tensor, emb: Tensor, *tensors: Tensor) -> Tensor:
        return unet.forward_embedded(x, emb, text.with_tensors(tensors))

    emb = F.silu(text.embedding(text.place(timestep)))
    return graphs(unet, layers, x, emb, *text.tensors).to(x_t.dtype)


def rounded(unet: UNet) -> UNet:
    """A copy in bf16. Its embeddings of timestep, pooled feature and picture stay as they are, and
    those of `unet`: `bind` alone calls them."""
    rough = copy.deepcopy(unet).to(torch.bfloat16)
    for name in ("time_embedding", "class_embedding", "image_embedding"):
        setattr(rough, name, getattr(unet, name))
    return rough


class RoundedCopy:
    """`rounded`, kept until the weights change.

    Weights count as changed if they moved in memory or were written in place. PyTorch counts such
    writes in `_version`; writes through `.data` go unseen. The tensors that were copied are kept
    alive, so that no others can take their addresses.
    """

    def __init__(self) -> None:
        self.drop()

    def drop(self) -> None:
        self._copy: UNet | None = None
        self._copied: list[tuple[Tensor, int]] = []

    def get(self, unet: UNet) -> UNet:
        weights = [parameter.detach() for parameter in unet.parameters()]
        copy = self._copy if self._is_current(weights) else None
        if copy is None:
            self.drop()  # before memory is taken for the next
            self._copy = copy = rounded(unet)
            self._copied = [(weight, weight._version) for weight in weights]
        return copy.train(unet.training)

    def _is_current(self, weights: list[Tensor]) -> bool:
        """Whether the copy is of these weights, as they are now."""
        return len(weights) == len(self._copied) and all(
            weight.data_ptr() == copied.data_ptr() and weight._version == version
            for weight, (copied, version) in zip(weights, self._copied, strict=True)
        )
