"""How unlike two pictures look to a network: the distance of what its layers say of each place.

    d(x, x_hat) = mean over layers, mean over places of |f / |f| - g / |g||^2

f, g: a layer's features at a place of x and of x_hat (LPIPS without its learned weights, Zhang et
al., arXiv 1801.03924, eq. 1). The network is the image tower of one of our CLIPs; or LPIPS itself,
where torchmetrics and its weights are on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textdiff.clip.model import ClipModel
from textdiff.errors import UsageError
from textdiff.types import Images, PerSample

LPIPS, LPIPS_WEIGHTS = "lpips", "vgg16-397923af.pth"  # as torchvision names them


class Distance(Protocol):
    """identity: of the network, which a resumed run must have too."""

    @property
    def identity(self) -> str: ...

    def __call__(self, images: Images, others: Images) -> PerSample:
        """Of images (B, 3, H, W) in [-1, 1], the originals first; gradients flow to `others`."""
        ...

    def to(self, device: torch.device | str) -> Distance:
        """Itself, moved."""
        ...


def perceptual_distance(source: str) -> Distance:
    """source: "lpips", or a CLIP: its folder or MODEL/TAG.

    Raises:
        UsageError: what LPIPS needs is not here; a CLIP whose tower has other layers.
        CheckpointError: no CLIP there.
    """
    return Lpips() if source == LPIPS else ClipDistance(ClipModel.load(source).freeze(), source)


class ClipDistance:
    """By the residual blocks (vit) or stages (resnet) of the CLIP's image tower.

    Raises:
        UsageError: a tower of another kind.
    """

    def __init__(self, clip: ClipModel, source: str) -> None:
        self.clip = clip
        tower = clip.model.visual
        if clip.tower_kind == "resnet":
            layers: Sequence[nn.Module] = [getattr(tower, f"layer{k}") for k in range(1, 5)]
            self.dim = 1  # of the channels in what a layer puts out
        elif hasattr(tower, "transformer"):
            layers, self.dim = list(tower.transformer.resblocks), 2
        else:
            raise UsageError(
                f"--loss.perceptual {source}: its image tower is neither a transformer nor a "
                "ResNet of open_clip's own; take another CLIP"
            )
        self.layers = layers
        self.identity = clip.weights_hash()

    def to(self, device: torch.device | str) -> ClipDistance:
        self.clip.to(device)
        return self

    def __call__(self, images: Images, others: Images) -> PerSample:
        with torch.no_grad():
            wanted = self.features(images)
        found = self.features(others)
        distances = [
            (F.normalize(f, dim=self.dim) - F.normalize(g, dim=self.dim)).square().sum(self.dim)
            for f, g in zip(wanted, found, strict=True)
        ]
        return torch.stack([each.flatten(1).mean(1) for each in distances]).mean(0)

    def features(self, images: Images) -> list[Tensor]:
        """What each layer puts out, float32."""
        with self._recorded() as outputs:
            self.clip.encode_image(images)
        return [output.float() for output in outputs]

    @contextmanager
    def _recorded(self) -> Iterator[list[Tensor]]:
        outputs: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            outputs.append(output)

        hooks = [layer.register_forward_hook(keep) for layer in self.layers]
        try:
            yield outputs
        finally:
            for hook in hooks:
                hook.remove()


class Lpips:
    """Of VGG16, with the learned weights of its layers.

    Raises:
        UsageError: torchmetrics or the VGG16 is not on this machine.
    """

    identity = "lpips vgg16"

    def __init__(self) -> None:
        try:
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
        except ImportError:
            raise UsageError(
                "--loss.perceptual lpips needs the package torchmetrics: pip install torchmetrics; "
                "or give a CLIP's folder"
            ) from None
        weights = Path(torch.hub.get_dir()) / "checkpoints" / LPIPS_WEIGHTS
        if not weights.is_file():
            raise UsageError(
                f"--loss.perceptual lpips: its VGG16 is not at {weights}; put torchvision's "
                f"{LPIPS_WEIGHTS} there, or give a CLIP's folder"
            )
        self.network = LearnedPerceptualImagePatchSimilarity(net_type="vgg").net.eval()
        self.network.requires_grad_(False)

    def to(self, device: torch.device | str) -> Lpips:
        self.network.to(device)
        return self

    def __call__(self, images: Images, others: Images) -> PerSample:
        distances: Tensor = self.network(images, others)
        return distances.flatten()
