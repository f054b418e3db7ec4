"""How an image tower reads the timestep: a vector per picture, added to early features.

    shift_j(t) = W_j silu(W e(t) + b) + b_j        e(t): sinusoids;  W_j = b_j = 0 at first
    features at joint j <- features + shift_j(t)

A joint is the output of a module that adds a trained bias last, so that a shift which is the same
for all pictures can be folded into that bias:

    vision transformer   input tokens: patches and class token, behind the positional embedding
    ResNet               the stem's last batch norm, and that of each stage's first block
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from textdiff.embeddings import timestep_embedding
from textdiff.errors import UsageError
from textdiff.types import Features, Timesteps

HIDDEN = 256


class TimestepShift(nn.Module):
    """Shifts for joints of `widths`; zero until trained."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.hidden = nn.Linear(HIDDEN, HIDDEN)
        self.out = nn.ModuleList(nn.Linear(HIDDEN, width) for width in widths)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, timestep: Timesteps) -> list[Tensor]:
        """One (B, width) per joint."""
        sinusoids = timestep_embedding(timestep, HIDDEN).to(self.hidden.weight.dtype)
        hidden = F.silu(self.hidden(sinusoids))
        return [out(hidden) for out in self.out]


@dataclass(frozen=True)
class Joint:
    """Where a shift is added.

    module: its output are the features, tokens (B, L, width) or maps (B, width, H, W).
    bias: (..., width), which the tower adds to these features at every timestep.
    """

    module: nn.Module
    bias: nn.Parameter

    @property
    def width(self) -> int:
        return self.bias.shape[-1]


def joints(visual: nn.Module) -> list[Joint]:
    """The joints of an open_clip image tower.

    Raises:
        UsageError: it is neither a vision transformer nor open_clip's ResNet.
    """
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.transformer import VisionTransformer
    from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer

    if isinstance(visual, ModifiedResNet):
        stages = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
        norms = [visual.bn3, *(stage[0].bn3 for stage in stages)]
        return [Joint(norm, norm.bias) for norm in norms]
    if isinstance(visual, VisionTransformer):
        return [Joint(visual.patch_dropout, visual.positional_embedding)]
    trunk = getattr(visual, "trunk", visual)
    if isinstance(trunk, TimmVisionTransformer) and trunk.pos_embed is not None:
        num_tokens = trunk.patch_embed.num_patches + trunk.num_prefix_tokens
        if trunk.pos_embed.shape[1] == num_tokens:
            return [Joint(trunk.patch_drop, trunk.pos_embed)]
    raise UsageError(
        f"timesteps cannot be added to this CLIP's image tower ({type(trunk).__name__}); "
        "take a vision transformer or a ResNet, e.g. ViT-B-32 or RN50"
    )


@contextmanager
def shifted(joints: Sequence[Joint], shifts: Sequence[Tensor]) -> Iterator[None]:
    """A context in which the features at each joint are shifted.

    Args:
        shifts: (B, width) per joint, a row for each picture.
    """
    with ExitStack() as hooks:
        for joint, shift in zip(joints, shifts, strict=True):
            hooks.enter_context(joint.module.register_forward_hook(_adding(shift)))
        yield


def _adding(shift: Features) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], features: Tensor) -> Tensor:
        maps = features.ndim == 4
        return features + (shift[:, :, None, None] if maps else shift[:, None])

    return hook
