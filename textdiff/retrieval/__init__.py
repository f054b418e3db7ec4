"""Search: an index of pictures by the features of a CLIP, asked by text, by picture or by both."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
