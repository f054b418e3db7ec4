"""Samplers: one loop in base.py, one update rule per file."""

from textdiff._lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "DDIM": "ddim",
        "DDPM": "ddpm",
        "ImageNoise": "noise",
        "Step": "base",
        "sample": "base",
        "timestep_grid": "grid",
    },
)
