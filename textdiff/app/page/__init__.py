"""The page in a browser: a tab to draw, to search, to compare, and to look at a training."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
