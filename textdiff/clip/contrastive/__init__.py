"""The contrastive loss of CLIP and of SigLIP, dense or in tiles, over one process or many."""

from textdiff.clip.contrastive.loss import contrastive_loss, sigmoid_loss

__all__ = ["contrastive_loss", "sigmoid_loss"]
