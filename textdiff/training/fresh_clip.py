"""What `textdiff train-clip` starts from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from textdiff.clip.config import ClipConfig
from textdiff.clip.model import ClipModel
from textdiff.errors import UsageError

if TYPE_CHECKING:
    from accelerate import Accelerator


class SigmoidClipConfig(ClipConfig):
    """Starts with the scale and the bias of SigLIP (arXiv 2303.15343, section 3.2): the many pairs
    that do not match weigh little at first."""

    def to_open_clip(self) -> dict[str, Any]:
        return super().to_open_clip() | {
            "init_logit_scale": math.log(10.0),
            "init_logit_bias": -10.0,
        }


def fresh_clip(config: ClipConfig, *, init: str | None, loss: str, seed: int) -> ClipModel:
    """The CLIP that training starts from, in training mode.

    Args:
        init: load this one (folder or MODEL/TAG) instead of building `config`.
        loss: kind of the contrastive loss.

    Raises:
        UsageError: `init` has no logit bias, and the sigmoid loss is asked for.
    """
    sigmoid = loss == "sigmoid"
    if not init:
        fresh = SigmoidClipConfig(**config.model_dump()) if sigmoid else config
        return ClipModel.build(fresh, seed)
    clip = ClipModel.load(init).train()
    if sigmoid and clip.model.logit_bias is None:
        raise UsageError(
            f"--init {init} has no logit bias, which --loss.kind sigmoid needs; "
            "take softmax, or start from fresh weights"
        )
    return clip


def report_captions(
    accelerator: Accelerator,
    clip: ClipModel,
    captions: list[str],
    *,
    num_images: int,
    batch_size: int,
) -> None:
    """Says how many of `captions` are cut, and if a batch is larger than the data."""
    cut = clip.tokenize(captions).num_truncated
    if cut:
        accelerator.print(
            f"{cut} of {len(captions)} captions are longer than {clip.context_length} tokens "
            "and are cut; raise --clip.text.context-length to keep them whole"
        )
    rows = batch_size * accelerator.num_processes
    if rows > num_images:
        fitting = num_images // accelerator.num_processes
        better = f"--train.batch-size {fitting}" if fitting else f"{num_images} processes or fewer"
        accelerator.print(
            f"a batch of {rows} holds some of the {num_images} images twice, each then its own "
            f"negative; better: {better}"
        )
