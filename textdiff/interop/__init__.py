"""Weights and whole models to and from diffusers and transformers."""

from textdiff._lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "layout_from_diffusers": "unet_layout",
        "layout_to_diffusers": "unet_layout",
        "pipeline_to_diffusers": "pipeline",
        "scheduler_to_diffusers": "scheduler",
        "text_encoder_to_transformers": "text_encoder",
        "tokenizer_to_transformers": "tokenizer",
        "unet_from_diffusers": "unet",
        "unet_to_diffusers": "unet",
    },
)
