"""CLIP pre-training as a task.

image (shifted), caption ──► unit features of both towers ──► loss over the pairs of all ranks
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from textdiff.clip.contrastive.loss import contrastive_loss, sigmoid_loss
from textdiff.clip.model import ClipModel
from textdiff.clip.tokens import Tokens
from textdiff.data.base import CaptionedImages
from textdiff.metrics.features import retrieval_on
from textdiff.training.captions import CaptionTokens
from textdiff.training.config import ContrastiveLossConfig
from textdiff.training.gradient_cache import encode_in_groups
from textdiff.training.learning.answer import clip_answer
from textdiff.training.run_folder import RunFolder
from textdiff.training.scale_watch import ScaleWatch
from textdiff.training.shift import shift_pictures
from textdiff.types import Batch, Features


class ContrastiveTask:
    """Trains both towers of `clip` and the scale.

    Args:
        held_out: split for retrieval numbers, None without one.
        max_shift: pictures are shifted by up to this many pixels each way, borders repeated.
        loss: softmax over the batch (CLIP), or yes or no for each pair (SigLIP; `clip` needs a
            logit bias).
        encoder_batch_size: pairs encoded at a time, see `gradient_cache`; None: all.
    """

    name = "clip"

    def __init__(
        self,
        *,
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
        self.watch = ScaleWatch()
        self.tokenize = CaptionTokens(clip)
        self.bias = clip.model.logit_bias
        if self.bias is not None and self.loss.kind == "softmax":
            self.bias.requires_grad_(False)  # it cancels: DDP would wait for its gradient

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        images = shift_pictures(batch, self.max_shift, self.seed, step)
        images = images.to(self.model.logit_scale.device)
        image, text, scale = self.encode(model, images, self.tokenize(batch.captions))
        self.watch.keep(scale, step)
        if self.loss.kind == "softmax":
            loss = contrastive_loss(image, text, scale, local=self.loss.local)
        else:
            loss = sigmoid_loss(image, text, scale, self.bias)
        return {"loss": loss, "logit_scale": scale.detach()}

    def encode(
        self, model: nn.Module, images: Tensor, tokens: Tokens
    ) -> tuple[Features, Features, Tensor]:
        """Unit features of both and the scale, all at once or in groups."""
        size = self.encoder_batch_size
        if size and size < len(images):
            return encode_in_groups(model, self.model, images, tokens, size)
        return model(images, tokens)

    def after_update(self) -> None:
        """Keeps the scale in [1, 100] (CLIP, section 2.5)."""
        self.watch.see_kept()
        self.model.clamp_logit_scale_()

    def export(self, folder: Path) -> None:
        """Makes the run folder an open_clip folder with the weights as they stand."""
        self.model.save(folder)

    @torch.no_grad()
    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Retrieval on the held-out split, both ways, with the chance level beside it."""
        if self.held_out is None:
            return {}
        search = retrieval_on(self.model, self.held_out, self.eval_images)
        values = {}
        for direction, ranking in search.retrieval.directions().items():
            for k in (1, 5, 10):
                values[f"held_out/{direction}_R@{k}"] = ranking.recall(k)
            values[f"held_out/{direction}_chance R@1"] = ranking.chance(1)
        return values

    def in_words(self, values: dict[str, float]) -> str:
        parts = []
        for direction in ("image_to_text", "text_to_image"):
            rates = ", ".join(
                f"R@{k} {values[f'held_out/{direction}_R@{k}']:.1%}" for k in (1, 5, 10)
            )
            chance = values[f"held_out/{direction}_chance R@1"]
            parts.append(f"{direction.replace('_', ' ')} {rates} (chance R@1 {chance:.1%})")
        return "; ".join(parts)

    def verdict(self, values: dict[str, float], step: int) -> list[str]:
        return clip_answer(values, step)
