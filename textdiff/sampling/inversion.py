"""DDIM inversion: from a picture to the noise that DDIM would draw it from.

    x = x_0
    for i = 0 .. N-1:
        x_0_hat, eps_hat = denoise(x, grid[max(i-1, 0)])             x_0_hat = x_0 where i = 0
        x = sqrt(ac_i) x_0_hat + sqrt(1 - ac_i) eps_hat              ac_i = ac at grid[i]

This is Euler's method for DDIM's ODE (arXiv 2010.02502, eq. 14), from clean to noisy. A step here
evaluates the denoiser at its cleaner end, a step of DDIM at its noisier end. The two do not cancel
exactly, so picture -> noise -> picture has an error, which falls as 1/N.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.sampling.base import Step
from textdiff.sampling.score import score_form
from textdiff.timesteps import shared_timestep
from textdiff.types import Denoise, Samples


def invert(denoise: Denoise, schedule: NoiseSchedule, grid: Tensor, x_0: Samples) -> Iterator[Step]:
    """Yields a Step per entry of `grid` (N,), ascending timesteps; the last step's x_t is x_T.

    Each Step's x_t (B, ...) is the noised picture at its timestep. Give `sample` the same
    denoiser and grid, DDIM(eta=0) and x_T to return. With guidance scales well above 1 the two
    ways differ more.
    """
    chain = schedule.respaced(grid)
    x = x_0
    for index, timestep in enumerate(chain.timesteps.tolist()):
        reached = max(index - 1, 0)
        timesteps = shared_timestep(int(chain.timesteps[reached]), len(x), x.device)
        with torch.no_grad():
            prediction = score_form(denoise(x, timesteps), chain, reached)
            ac = float(chain.alphas_cumprod[index])
            x_0_hat = x_0 if index == 0 else prediction.x_0
            x = ac**0.5 * x_0_hat + (1 - ac) ** 0.5 * prediction.eps
        yield Step(index, timestep, x, prediction)
