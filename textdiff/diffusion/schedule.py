"""Noise schedules and the Gaussian identities that follow from their betas.

    q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I)
    alphas = 1 - betas;  alphas_cumprod[t] = prod_{s<=t} alphas[s];  snr = ac / (1 - ac)
    x_t = sqrt(ac_t) x_0 + sqrt(1 - ac_t) eps
    q(x_{t-1} | x_t, x_0) = N(mean, beta_tilde_t I)

Timesteps are integers 0..T-1, 0 the least noisy; a paper's t is t + 1. Tables are float64 on the
CPU and cast when used. Sources: DDPM (arXiv 2006.11239), IDDPM (2102.09672), latent diffusion
(2112.10752), zero terminal SNR (Lin et al., 2305.08891).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from textdiff.diffusion.config import ScheduleConfig
from textdiff.diffusion.tables import Cast, check_ascending, lookup
from textdiff.types import Samples, Timesteps

MAX_BETA = 0.999


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """Tables of a forward process with T = len(betas) steps.

    betas: (T,) float64 in (0, 1); the last may be 1, which makes x_T pure noise.
    timesteps: (T,) int64, what the network is told at each step; 0..T-1 unless respaced.

    Raises:
        ValueError: betas outside this range, of another shape, or that leave no signal before T.
    """

    betas: Tensor
    timesteps: Tensor = field(default=None)  # type: ignore[assignment]
    _cast: Cast = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        betas = torch.as_tensor(self.betas, dtype=torch.float64, device="cpu")
        if betas.ndim != 1 or not len(betas):
            raise ValueError(f"betas must have shape (T,), got {tuple(betas.shape)}")
        fine = (betas > 0) & (betas < 1)
        fine[-1] |= betas[-1] == 1
        if not fine.all():
            bad = int((~fine).nonzero()[0])
            raise ValueError(f"betas[{bad}] = {betas[bad]:.6g} is outside (0, 1)")
        gone = (1 - betas).cumprod(0)[:-1] == 0
        if gone.any():
            raise ValueError(
                f"alphas_cumprod is 0 from betas[{int(gone.nonzero()[0])}] on, before the last "
                "step; use smaller betas or fewer steps"
            )
        object.__setattr__(self, "betas", betas)
        if self.timesteps is None:
            object.__setattr__(self, "timesteps", torch.arange(len(betas)))

    @classmethod
    def linear(cls, num_timesteps: int = 1000) -> NoiseSchedule:
        """DDPM section 4: 1e-4 to 0.02 at T = 1000; the range is scaled by 1000/T for another T."""
        scale = 1000 / num_timesteps
        return cls(
            torch.linspace(1e-4 * scale, 0.02 * scale, num_timesteps, dtype=torch.float64).clamp(
                max=MAX_BETA
            )
        )

    @classmethod
    def cosine(cls, num_timesteps: int = 1000) -> NoiseSchedule:
        """IDDPM eq. 17: ac = f((t+1)/T) / f(0), f(u) = cos^2((u + s)/(1 + s) pi/2), s = 0.008."""
        u = torch.arange(num_timesteps + 1, dtype=torch.float64) / num_timesteps
        f = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
        return cls((1 - f[1:] / f[:-1]).clamp(max=MAX_BETA))

    @classmethod
    def scaled_linear(cls, num_timesteps: int = 1000) -> NoiseSchedule:
        """Latent diffusion: the square roots of betas run linearly from sqrt(0.00085) to
        sqrt(0.012) at T = 1000; the range is scaled by 1000/T for another T."""
        first, last = (math.sqrt(beta * 1000 / num_timesteps) for beta in (0.00085, 0.012))
        roots = torch.linspace(first, last, num_timesteps, dtype=torch.float64)
        return cls(roots.square().clamp(max=MAX_BETA))

    @classmethod
    def from_config(cls, config: ScheduleConfig) -> NoiseSchedule:
        if config.betas is not None:
            schedule = cls(torch.tensor(config.betas, dtype=torch.float64))
        else:
            schedule = getattr(cls, config.name)(config.num_timesteps)
        return schedule.with_zero_terminal_snr() if config.zero_terminal_snr else schedule

    def with_zero_terminal_snr(self) -> NoiseSchedule:
        """sqrt(ac) shifted and scaled so that the last is 0 and the first stays (Lin et al.,
        Algorithm 1). At the last step x_t holds nothing of x_0, so eps cannot tell it.

        Raises:
            ValueError: T = 1.
        """
        if self.num_timesteps < 2:
            raise ValueError("zero terminal SNR needs T >= 2: with T = 1, x_t would be noise alone")
        root = self.alphas_cumprod.sqrt()
        root = (root - root[-1]) * root[0] / (root[0] - root[-1])
        return NoiseSchedule(_betas(root.square()))

    @property
    def num_timesteps(self) -> int:
        return len(self.betas)

    @cached_property
    def alphas(self) -> Tensor:
        return 1 - self.betas

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        return self.alphas.cumprod(0)

    @cached_property
    def alphas_cumprod_prev(self) -> Tensor:
        """ac of the next less noisy step; 1 at t = 0."""
        return torch.cat([torch.ones(1, dtype=torch.float64), self.alphas_cumprod[:-1]])

    @cached_property
    def snr(self) -> Tensor:
        return self.alphas_cumprod / (1 - self.alphas_cumprod)

    @cached_property
    def half_log_snr(self) -> Tensor:
        return self.snr.log() / 2

    @cached_property
    def posterior_variance(self) -> Tensor:
        """beta_tilde, zero at t = 0 (DDPM eq. 7)."""
        return self.betas * (1 - self.alphas_cumprod_prev) / (1 - self.alphas_cumprod)

    @cached_property
    def posterior_log_variance_clipped(self) -> Tensor:
        """log beta_tilde with entry 0 replaced by entry 1 (IDDPM); T = 1 keeps log beta_0."""
        if self.num_timesteps == 1:
            return self.betas.log()
        return torch.cat([self.posterior_variance[1:2], self.posterior_variance[1:]]).log()

    @cached_property
    def log_betas(self) -> Tensor:
        return self.betas.log()

    @cached_property
    def large_log_variance(self) -> Tensor:
        """log beta with entry 0 replaced as in `posterior_log_variance_clipped` (IDDPM's code)."""
        return torch.cat([self.posterior_log_variance_clipped[:1], self.log_betas[1:]])

    @cached_property
    def posterior_coefficients(self) -> tuple[Tensor, Tensor]:
        """Factors of x_0 and x_t in the posterior mean (DDPM eq. 7)."""
        ac, prev = self.alphas_cumprod, self.alphas_cumprod_prev
        return (
            prev.sqrt() * self.betas / (1 - ac),
            self.alphas.sqrt() * (1 - prev) / (1 - ac),
        )

    def at(self, table: str, timestep: Timesteps, like: Samples) -> Tensor:
        """Entries of a table at `timestep` (B,), to broadcast over `like`; see `tables.lookup`.
        `table` is "signal" (sqrt ac), "noise" (sqrt(1 - ac)) or the name of a property."""
        values = {
            "signal": lambda: self.alphas_cumprod.sqrt(),
            "noise": lambda: (1 - self.alphas_cumprod).sqrt(),
            "posterior_x_0": lambda: self.posterior_coefficients[0],
            "posterior_x_t": lambda: self.posterior_coefficients[1],
        }.get(table, lambda: getattr(self, table))
        return lookup(self._cast, table, values, timestep, like)

    def add_noise(self, x_0: Samples, eps: Samples, timestep: Timesteps) -> Samples:
        """x_t = sqrt(ac) x_0 + sqrt(1 - ac) eps (DDPM eq. 4). x_0, eps: (B, ...)."""
        return self.at("signal", timestep, x_0) * x_0 + self.at("noise", timestep, x_0) * eps

    def posterior(self, x_0: Samples, x_t: Samples, timestep: Timesteps) -> tuple[Tensor, Tensor]:
        """Mean (B, ...) and variance (B, 1, ...) of q(x_{t-1} | x_t, x_0) (DDPM eq. 6, 7)."""
        mean = (
            self.at("posterior_x_0", timestep, x_t) * x_0
            + self.at("posterior_x_t", timestep, x_t) * x_t
        )
        return mean, self.at("posterior_variance", timestep, x_t)

    def respaced(self, timesteps: Tensor | Sequence[int]) -> NoiseSchedule:
        """The schedule that visits only `timesteps` (N,), which ascend.

        beta'_i = 1 - ac[t_i] / ac[t_{i-1}] (IDDPM section 4).

        Raises:
            ValueError: timesteps not strictly ascending within 0..T-1.
        """
        timesteps = check_ascending(timesteps, self.num_timesteps)
        return NoiseSchedule(_betas(self.alphas_cumprod[timesteps]), self.timesteps[timesteps])


def _betas(alphas_cumprod: Tensor) -> Tensor:
    """The betas (T,) of which these are the products; 1 only where one is exactly 0."""
    previous = torch.cat([torch.ones(1, dtype=torch.float64), alphas_cumprod[:-1]])
    betas = (1 - alphas_cumprod / previous).clamp(max=math.nextafter(1, 0))  # 1 - 1e-17 is 1
    return torch.where(alphas_cumprod == 0, 1.0, betas)
