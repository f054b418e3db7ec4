"""How alike two pictures are, pixel by pixel.

    PSNR = 10 log10(255^2 / MSE)
    SSIM = mean (2 m_x m_y + C1)(2 s_xy + C2) / ((m_x^2 + m_y^2 + C1)(s_x^2 + s_y^2 + C2))

SSIM as in Wang et al. 2004 (IEEE TIP 13(4), eq. 13): means m, variances and covariance s under a
Gaussian window of 11 x 11 pixels, deviation 1.5, at every place, pictures going on beyond their
edges as in a mirror (as in torchmetrics; the authors' code leaves out places near edges);
C1 = 0.01^2, C2 = 0.03^2 of pixels in [0, 1]; the mean over places and colours.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.errors import DataError
from textdiff.types import PerSample, Pictures

WINDOW, DEVIATION = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


def mean_squared_error(pictures: Pictures, others: Pictures) -> PerSample:
    """Of each pair, in squared grey levels of 0..255, float64."""
    return (pictures.double() - others.double()).square().flatten(1).mean(1)


def psnr(pictures: Pictures, others: Pictures) -> PerSample:
    """Peak signal-to-noise ratio of each pair in dB, float64.

    Equal pictures count as if one number of one pixel was off by one, so that means stay finite.
    """
    least = 1 / pictures[0].numel()
    return 10 * (255**2 / mean_squared_error(pictures, others).clamp(min=least)).log10()


def ssim(pictures: Pictures, others: Pictures) -> PerSample:
    """Structural similarity of each pair, at most 1.

    Raises:
        DataError: pictures smaller than the window.
    """
    if min(pictures.shape[-2:]) < WINDOW:
        height, width = pictures.shape[-2:]
        raise DataError(
            f"SSIM takes pictures of {WINDOW} pixels a side or more, not {width}x{height}"
        )
    x, y = pictures.double() / 255, others.double() / 255
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance_x = _windowed(x * x) - mean_x.square()
    variance_y = _windowed(y * y) - mean_y.square()
    covariance = _windowed(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    scale = (mean_x.square() + mean_y.square() + C1) * (variance_x + variance_y + C2)
    return (likeness / scale).flatten(1).mean(1)


def _windowed(images: Tensor) -> Tensor:
    """Means under the window at every place."""
    offsets = torch.arange(WINDOW, dtype=images.dtype, device=images.device) - WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * DEVIATION**2))
    weights = weights / weights.sum()
    channels = images.shape[1]
    images = F.pad(images, [WINDOW // 2] * 4, mode="reflect")
    rows = weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    columns = weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(images, rows, groups=channels), columns, groups=channels)
