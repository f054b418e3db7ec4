"""CLIP: its towers, its tokens and its contrastive loss. Captions and images in, features out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
