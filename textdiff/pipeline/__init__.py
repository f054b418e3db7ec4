"""Prompt in, images out: a trained model with its CLIP, and what draws with it."""

from textdiff._lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "CLIP_FOLDER": "loading",
        "DrawPlan": "plan",
        "DrawStep": "plan",
        "MODEL_FILE": "loading",
        "ModelConfig": "config",
        "SamplingConfig": "config",
        "TextToImage": "text_to_image",
    },
)
