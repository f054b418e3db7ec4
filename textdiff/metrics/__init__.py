"""Metrics: pure functions on features and scores. The protocol around a number is the eval's."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
