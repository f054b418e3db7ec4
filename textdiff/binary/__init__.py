"""Binary diffusion: black-and-white pictures whose pixels flip."""

from textdiff._lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "BinaryConfig": "config",
        "BinaryDiffusion": "process",
        "BinarySchedule": "schedule",
        "sample_binary": "sampling",
    },
)
