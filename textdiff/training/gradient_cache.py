"""Gradient caching: a large contrastive batch through small encoder batches.

    groups of pairs ──► towers, activations dropped ──► features of the whole batch ──► loss
    loss ──► gradient of each feature ──► group by group, last one first: towers again ──► weights

The loss sees the whole batch, each tower only a group at a time: gradients are those of the whole
batch (Gao et al., arXiv 2101.06983) wherever a tower treats examples alone. Batch norm, which
CLIP's ResNets have, takes its statistics over a group instead. Each group but the first is encoded
twice; dropout draws the same again.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from textdiff.clip.model import ClipModel
from textdiff.clip.tokens import Tokens
from textdiff.types import Features


def encode_in_groups(
    model: nn.Module, clip: ClipModel, images: Tensor, tokens: Tokens, size: int
) -> tuple[Features, Features, Tensor]:
    """What `model(images, tokens)` gives, with the activations of two groups at most.

    Args:
        model: `clip`, or its wrapper for several processes.
        size: pairs per group; the last group may be smaller.
    """
    rows = [slice(start, start + size) for start in range(0, len(images), size)]
    groups = [
        (images[at], replace(tokens, ids=tokens.ids[at], mask=tokens.mask[at])) for at in rows
    ]
    # The wrapper must see one forward pass per backward pass, and none during it, so that it takes
    # part in the first group alone. Its hooks are on the weights, which all groups share.
    encoded = [model(*groups[0])]
    encoded += [checkpoint(clip, *group, use_reentrant=False) for group in groups[1:]]
    image_features, text_features, scales = zip(*encoded, strict=True)
    return torch.cat(image_features), torch.cat(text_features), scales[0]
