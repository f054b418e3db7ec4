"""CLIP pre-training as a task.

image (shifted), caption ──► unit features of both towers ──► loss over the pairs of all ranks
"""

from __future__ import annotations

import math
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textdiff.clip.loss import contrastive_loss, sigmoid_loss
from textdiff.clip.model import MAX_LOGIT_SCALE, ClipModel
from textdiff.data.base import CaptionedImages
from textdiff.metrics.features import retrieval_on
from textdiff.randomness import generator
from textdiff.training.config import ContrastiveLossConfig
from textdiff.training.gradient_cache import encode_in_groups
from textdiff.training.run_folder import RunFolder
from textdiff.types import Batch


def shift_pictures(batch: Batch, pad: int, seed: int, step: int) -> Tensor:
    """Each picture (uint8) moved by up to `pad` pixels each way, borders repeated; its own offset
    is a function of (seed, step, sample id)."""
    if not pad:
        return batch.image
    side = batch.image.shape[-1]
    padded = F.pad(batch.image.float(), [pad] * 4, mode="replicate").to(torch.uint8)
    shifted = []
    ids = zip(batch.epochs.tolist(), batch.sample_ids.tolist(), strict=True)
    for picture, (epoch, sample_id) in zip(padded, ids, strict=True):
        g = generator("shift", seed, step, epoch, sample_id)
        y, x = torch.randint(2 * pad + 1, (2,), generator=g).tolist()
        shifted.append(picture[:, y : y + side, x : x + side])
    return torch.stack(shifted)


class ContrastiveTask:
    """Trains both towers of `clip` and the scale.

    Args:
        held_out: split for retrieval numbers, None without one.
        max_shift: pictures are shifted by up to this many pixels each way, borders repeated.
        loss: over softmax (CLIP) or over single pairs (SigLIP; `clip` needs a logit bias).
        encoder_batch_size: pairs encoded at a time, see `gradient_cache`; None: all.
    """

    name = "clip"

    def __init__(
        self,
        clip: ClipModel,
        seed: int,
        held_out: CaptionedImages | None = None,
        eval_images: int = 1000,
        max_shift: int = 0,
        loss: ContrastiveLossConfig | None = None,
        encoder_batch_size: int | None = None,
    ):
        self.model, self.seed = clip, seed
        self.held_out, self.eval_images, self.max_shift = held_out, eval_images, max_shift
        self.loss = loss or ContrastiveLossConfig()
        self.encoder_batch_size = encoder_batch_size
        self.step = 0
        self.warned: set[str] = set()
        self.bias = clip.model.logit_bias
        if self.bias is not None and self.loss.kind == "softmax":
            self.bias.requires_grad_(False)  # it cancels: DDP would wait for its gradient

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        self.step = step
        images = shift_pictures(batch, self.max_shift, self.seed, step)
        tokens = self.model.tokenize(batch.captions)
        size = self.encoder_batch_size
        if size and size < len(images):
            *features, scale = encode_in_groups(model, self.model, images, tokens, size)
        else:
            *features, scale = model(images, tokens)
        if self.loss.kind == "softmax":
            loss = contrastive_loss(*features, scale, local=self.loss.local)
        else:
            loss = sigmoid_loss(*features, scale, self.bias)
        return {"loss": loss, "logit_scale": scale.detach()}

    def state(self) -> dict[str, Tensor]:
        return {}

    def after_update(self) -> None:
        """Keeps the scale in [1, 100] (CLIP, section 2.5), and says so the first time it must."""
        t = self.model.model.logit_scale.item()
        if t < 0:
            self._warn("fell to 1, its least: nothing is told apart; lower --train.lr")
        elif t > math.log(MAX_LOGIT_SCALE):
            self._warn(f"reached {MAX_LOGIT_SCALE:g}, its most, and is held there")
        self.model.clamp_logit_scale_()

    def _warn(self, what: str) -> None:
        if what not in self.warned:
            self.warned.add(what)
            warnings.warn(f"step {self.step}: the logit scale {what}", stacklevel=3)

    def saved(self, run: RunFolder) -> None:
        """Makes the run folder an open_clip folder with the weights as they stand."""
        self.model.save(run.path)

    @torch.no_grad()
    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Retrieval on the held-out split, both ways, with the chance level beside it."""
        if self.held_out is None:
            return {}
        found = retrieval_on(self.model, self.held_out, self.eval_images)
        return {
            f"held_out/{direction}_{name}": float(rates[name])
            for direction, rates in found.directions.items()
            for name in ("R@1", "R@5", "R@10", "chance R@1")
        }
