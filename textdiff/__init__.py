"""textdiff: train, guide and judge text-to-image diffusion models with CLIP."""

from textdiff._lazy import lazy_exports

__version__ = "0.1.0"
__getattr__, __all__ = lazy_exports(__name__, {"TextToImage": "pipeline"})
