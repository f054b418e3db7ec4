"""The schedule of binary diffusion: pixels -1 and +1, noised by flips (D3PM, arXiv 2107.03006).

    P(x_t != x_{t-1}) = delta_t                   a fair coin replaces the pixel w.p. 2 delta_t
    r_t = E[x_t x_0] = prod_{s<=t} (1 - 2 delta_s)             the correlation, here with r_{-1} = 1
    P(x_t != x_0) = (1 - r_t) / 2                              replaced so far: 1 - r_t

Bayes gives the posterior of each pixel; its log-odds are a sum (D3PM, eq. 3, in the logarithm):

    logit q(x_{t-1} = +1 | x_t, x_0) = x_0 log((1 + r_{t-1}) / (1 - r_{t-1}))
                                     + x_t log((1 - delta_t) / delta_t)

Timesteps are integers 0..T-1, 0 the least noisy: a paper's t is t + 1. Tables are float64 on the
CPU and cast when used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.binary.config import BinaryConfig
from textdiff.diffusion.tables import Cast, check_ascending, lookup
from textdiff.types import Images, Timesteps


@dataclass(frozen=True, eq=False)
class BinarySchedule:
    """Tables of a forward process with T = len(deltas) steps.

    deltas: (T,) float64 in (0, 1/2], the probability of a flip; 1/2 forgets the pixel.
    timesteps: (T,) int64, what the network is told at each step; 0..T-1 unless respaced.

    Raises:
        ValueError: deltas outside this range, or another shape.
    """

    deltas: Tensor
    timesteps: Tensor = field(default=None)  # type: ignore[assignment]
    _cast: Cast = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        deltas = torch.as_tensor(self.deltas, dtype=torch.float64, device="cpu")
        if deltas.ndim != 1 or not len(deltas):
            raise ValueError(f"deltas must have shape (T,), got {tuple(deltas.shape)}")
        fine = (deltas > 0) & (deltas <= 0.5)
        if not fine.all():
            bad = int((~fine).nonzero()[0])
            raise ValueError(f"deltas[{bad}] = {deltas[bad]:.6g} is outside (0, 1/2]")
        object.__setattr__(self, "deltas", deltas)
        if self.timesteps is None:
            object.__setattr__(self, "timesteps", torch.arange(len(deltas)))

    @classmethod
    def constant(cls, num_timesteps: int, delta: float) -> BinarySchedule:
        """The same delta at each step."""
        return cls(torch.full((num_timesteps,), delta, dtype=torch.float64))

    @classmethod
    def cosine(cls, num_timesteps: int = 1000) -> BinarySchedule:
        """r = cos(pi/2 (t + 1)/T), as sqrt(ac) of the Gaussian cosine schedule; 0 at the end."""
        return cls(_deltas(torch.sin(_shares_left(num_timesteps) * math.pi / 2)))

    @classmethod
    def linear(cls, num_timesteps: int = 1000) -> BinarySchedule:
        """r = 1 - (t + 1)/T: the share of replaced pixels grows evenly to 1."""
        return cls(_deltas(_shares_left(num_timesteps)))

    @classmethod
    def from_config(cls, config: BinaryConfig) -> BinarySchedule:
        if config.delta is not None:
            return cls.constant(config.num_timesteps, config.delta)
        return getattr(cls, config.schedule)(config.num_timesteps)

    @property
    def num_timesteps(self) -> int:
        return len(self.deltas)

    @cached_property
    def correlation(self) -> Tensor:
        """r_t = E[x_t x_0]; 0 where nothing of x_0 is left."""
        return (1 - 2 * self.deltas).cumprod(0)

    @cached_property
    def replaced_probability(self) -> Tensor:
        """That some step so far replaced the pixel by a fair coin."""
        return 1 - self.correlation

    @cached_property
    def flip_probability(self) -> Tensor:
        """P(x_t != x_0), rising to 1/2."""
        return self.replaced_probability / 2

    @cached_property
    def half_log_snr(self) -> Tensor:
        """log(mean / deviation) of x_t given x_0 = +1, for time grids that are even in it."""
        return self.correlation.log() - (1 - self.correlation.square()).log() / 2

    @cached_property
    def own_log_odds(self) -> Tensor:
        """What x_t says about x_0 by itself, to a pixel that could as well be either."""
        return ((1 + self.correlation) / (1 - self.correlation)).log()

    @cached_property
    def x_0_log_odds(self) -> Tensor:
        """What x_0 adds to the posterior's log-odds; infinite at t = 0."""
        return torch.cat([torch.full((1,), torch.inf, dtype=torch.float64), self.own_log_odds[:-1]])

    @cached_property
    def x_t_log_odds(self) -> Tensor:
        """What x_t adds to the posterior's log-odds."""
        return torch.log1p(-self.deltas) - self.deltas.log()

    def at(self, table: str, timestep: Timesteps, like: Tensor) -> Tensor:
        """Entries of the property `table` at `timestep` (B,), to broadcast over `like`; see
        `tables.lookup`."""
        return lookup(self._cast, table, lambda: getattr(self, table), timestep, like)

    def add_noise(self, x_0: Images, u: Images, timestep: Timesteps) -> Images:
        """x_t of x_0 with one coin per pixel: flipped where u ~ U[0, 1) < P(x_t != x_0)."""
        return torch.where(u < self.at("flip_probability", timestep, u), -x_0, x_0)

    def posterior_logits(self, x_0: Images, x_t: Images, timestep: Timesteps) -> Images:
        """logit q(x_{t-1} = +1 | x_t, x_0); infinite at t = 0, where it says x_0."""
        from_x_0 = self.at("x_0_log_odds", timestep, x_t) * x_0
        return from_x_0 + self.at("x_t_log_odds", timestep, x_t) * x_t

    def mixed_posterior_logits(
        self, x_0_logits: Images, x_t: Images, timestep: Timesteps
    ) -> Images:
        """logit Q: the posterior averaged over p_hat(x_0 = +1) = sigmoid(x_0_logits)."""
        if_plus = self.posterior_logits(torch.ones_like(x_t), x_t, timestep)
        if_minus = self.posterior_logits(-torch.ones_like(x_t), x_t, timestep)
        plus, minus = F.logsigmoid(x_0_logits), F.logsigmoid(-x_0_logits)
        up = torch.logaddexp(plus + F.logsigmoid(if_plus), minus + F.logsigmoid(if_minus))
        down = torch.logaddexp(plus + F.logsigmoid(-if_plus), minus + F.logsigmoid(-if_minus))
        return up - down

    def respaced(self, timesteps: Tensor | Sequence[int]) -> BinarySchedule:
        """The schedule that visits only `timesteps` (N,), which ascend; it has the same x_t there.

        delta'_i = (1 - r[t_i] / r[t_{i-1}]) / 2

        Raises:
            ValueError: timesteps not strictly ascending within 0..T-1.
        """
        timesteps = check_ascending(timesteps, self.num_timesteps)
        return BinarySchedule(_deltas(self.correlation[timesteps]), self.timesteps[timesteps])


def _shares_left(num_timesteps: int) -> Tensor:
    """1 - (t + 1)/T, ending in exactly 0."""
    return torch.arange(num_timesteps - 1, -1, -1, dtype=torch.float64) / num_timesteps


def _deltas(correlation: Tensor) -> Tensor:
    """The deltas (T,) of which these are the correlations; 1/2 from where nothing is left."""
    previous = torch.cat([torch.ones(1, dtype=torch.float64), correlation[:-1]])
    return torch.where(previous == 0, 0.5, (1 - correlation / previous) / 2).clamp(max=0.5)
