"""Samplers: one loop in base.py, one update rule per file."""

from textdiff._lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "DDIM": "ddim",
        "DDPM": "ddpm",
        "DPMSolverPP": "dpm_solver",
        "ImageNoise": "noise",
        "Step": "base",
        "UniPC": "unipc",
        "invert": "inversion",
        "sample": "base",
        "timestep_grid": "grid",
    },
)
