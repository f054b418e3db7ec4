"""The denoising network: noised image, timestep and text features in, predicted noise out."""

from textdiff._lazy import lazy_exports

__getattr__, __all__ = lazy_exports(
    __name__,
    {
        "UNet": "unet",
        "UNetConfig": "config",
    },
)
