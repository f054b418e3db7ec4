"""Guidance: each function takes a Denoise and returns a Denoise."""

from textdiff._lazy import lazy_exports

__getattr__, __all__ = lazy_exports(__name__, {"classifier_free": "classifier_free"})
