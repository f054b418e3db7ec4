"""CLIP: its towers, its tokens and its contrastive loss. Captions and images in, features out."""

from textdiff._lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "ClipConfig": "config",
        "ClipModel": "model",
        "NoisedClip": "noised",
        "NoisedClipConfig": "config",
        "TextFeatures": "model",
        "Tokens": "tokens",
        "contrastive_loss": "contrastive.loss",
        "image_features": "features",
        "sigmoid_loss": "contrastive.loss",
        "text_features": "features",
    },
)
