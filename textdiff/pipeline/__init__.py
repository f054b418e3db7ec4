"""Prompt in, images out: a trained model with its CLIP, and what draws with it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
