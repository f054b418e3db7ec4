"""Captioned images: sources, decode guard, stateless order, batches, labelled grids."""

from textdiff._lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "BadImage": "decode",
        "CaptionedImages": "base",
        "DataConfig": "config",
        "EndlessOrder": "order",
        "batches": "loader",
        "decode_image": "decode",
        "labelled_grid": "grid",
        "open_data": "base",
        "stacked": "grid",
        "to_pil": "grid",
    },
)
