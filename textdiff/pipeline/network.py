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
from textdiff.precision import bf16_pays


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


def at_precision(unet: UNet, setting: str) -> UNet:
    """`unet`, or a copy of it in bf16 if `setting` says so; auto: if bf16 is faster by a probe.

    The copy's embeddings of timestep and pooled feature stay as they are: `bind` alone calls them.
    """
    device = unet.conv_in.weight.device.type
    if setting == "no" or (setting == "auto" and not bf16_pays(device)):
        return unet
    rough = copy.deepcopy(unet).to(torch.bfloat16)
    rough.time_embedding, rough.class_embedding = unet.time_embedding, unet.class_embedding
    return rough
