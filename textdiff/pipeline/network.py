"""The U-Net as a sampling run calls it: text bound, at its precision, parts of it kept.

distinct prompts, negative ── CLIP ── UNet.bind, once ──► rows of a batch ──► two networks
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from textdiff.clip.model import ClipModel
from textdiff.models.bound import BoundText
from textdiff.models.unet import UNet
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.process import Network


def networks_of(
    unet: UNet, clip: ClipModel, prompts: Sequence[str], config: SamplingConfig, timesteps: Tensor
) -> tuple[Network, Network]:
    """`unet` with the B `prompts` bound, and with them and then B times the negative prompt, for
    one run through the ascending `timesteps` (N,).

    Each distinct text is encoded and projected once. The second network takes pictures whose
    second half equals the first.
    """
    distinct = list(dict.fromkeys([*prompts, config.negative_prompt]))
    place = {text: row for row, text in enumerate(distinct)}
    rows = [place[prompt] for prompt in prompts]
    negative = [place[config.negative_prompt]] * len(rows)
    both = unet.bind(clip.conditioning(distinct), timesteps)[rows + negative]
    every = config.deep_cache_every
    alone = bound_network(unet, both[: len(rows)].reusing(every))
    return alone, bound_network(unet, both.guided().reusing(every))


def bound_network(unet: UNet, text: BoundText) -> Network:
    """Takes and returns pictures of any precision, whatever that of `unet`."""
    dtype = unet.conv_in.weight.dtype
    return lambda x_t, timestep: unet(x_t.to(dtype), timestep, text).to(x_t.dtype)


def rounded(unet: UNet) -> UNet:
    """A copy in bf16. Its embeddings of timestep and pooled feature stay as they are, and those of
    `unet`: `bind` alone calls them."""
    rough = copy.deepcopy(unet).to(torch.bfloat16)
    rough.time_embedding, rough.class_embedding = unet.time_embedding, unet.class_embedding
    return rough


class RoundedCopy:
    """`rounded`, kept until the weights change.

    Changed are those that lie elsewhere in memory or were written to in place, which PyTorch counts
    for each tensor (`_version`), but for writes through `.data`. What was copied is held, so that
    other weights cannot come to lie there.
    """

    def __init__(self) -> None:
        self.drop()

    def drop(self) -> None:
        self._copy: UNet | None = None
        self._copied: list[tuple[Tensor, int]] = []

    def of(self, unet: UNet) -> UNet:
        weights = [parameter.detach() for parameter in unet.parameters()]
        if not self._is_of(weights):
            self.drop()  # before memory is taken for the next
            self._copy = rounded(unet)
            self._copied = [(weight, weight._version) for weight in weights]
        return self._copy.train(unet.training)

    def _is_of(self, weights: list[Tensor]) -> bool:
        return len(weights) == len(self._copied) and all(
            weight.data_ptr() == copied.data_ptr() and weight._version == version
            for weight, (copied, version) in zip(weights, self._copied, strict=True)
        )
