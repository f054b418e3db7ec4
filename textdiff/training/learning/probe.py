"""What a network is asked about while it trains: the same pictures, noise and timesteps each time.

Probe(pictures, captions), FixedNoise ── Denoiser ──► Denoised(loss, x_0, x_t, x_0_hat)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.data.order import EndlessOrder
from textdiff.data.training_data import TrainingData
from textdiff.training.draws import QUARTERS, Draws, Key, draw, uniform_timesteps
from textdiff.types import Conditioning, Images, PerSample, Timesteps

CHUNK = 64  # pictures at a time
CANDIDATES = 8  # pictures looked at for each that is taken, so that captions differ


@dataclass(frozen=True)
class Probe:
    """Pictures (n, 3, S, S) uint8, or what stands for them (embeddings, rows of latents), and a
    caption of each.

    split, ids: where they stand in the data.
    """

    images: Tensor
    captions: list[str]
    split: str = ""
    ids: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.captions)


def first_of(data: TrainingData, count: int) -> Probe:
    """The first `count` images, fewer if there are not so many, with their first captions.

    Raises:
        DataError: as `CaptionedImages.read`.
    """
    ids, images = data.read(range(min(len(data), count)))
    return Probe(images, [data.captions[index][0] for index in ids], data.split, ids)


def spread_over(data: TrainingData, count: int, seed: int, distinct: bool = True) -> Probe:
    """Up to `count` images from all over `data`, each with another caption unless they need not be
    `distinct`.

    Raises:
        DataError: as `CaptionedImages.read`.
    """
    _, ids = EndlessOrder(len(data), seed).at(torch.arange(min(len(data), CANDIDATES * count)))
    chosen: dict[str | int, int] = {}
    for index in ids.tolist():
        chosen.setdefault(data.captions[index][0] if distinct else index, index)
    used, images = data.usable(list(chosen.values())[:count])
    return Probe(images, [data.captions[index][0] for index in used], data.split, used)


def pictures_all_over(data: TrainingData, count: int, seed: int) -> Iterator[Tensor]:
    """Up to `count` rows from all over `data`, in batches.

    Raises:
        DataError: as `CaptionedImages.read`.
    """
    _, ids = EndlessOrder(len(data), seed).at(torch.arange(min(len(data), count)))
    for chunk in ids.split(CHUNK):
        yield data.read(chunk.tolist())[1]


@dataclass(frozen=True)
class FixedNoise:
    """Noise and timesteps of the rows of a probe, a function of these numbers alone.

    shape: of one picture. posterior: x_0 is drawn, too.
    """

    seed: int
    shape: tuple[int, ...]
    num_timesteps: int
    posterior: bool = False

    def in_quarter(self, quarter: int, count: int) -> Draws:
        """Timesteps from one quarter of them, 0 the least noisy."""
        draws = self._draw("held out", self.seed, quarter, count=count)
        # the drawn timestep moved into this quarter
        draws.timestep = (draws.timestep + quarter * self.num_timesteps) // QUARTERS
        return draws

    def at_level(self, level: float, count: int) -> Draws:
        """The timestep at this share of all, the same noise at each."""
        draws = self._draw("text", self.seed, count=count)
        draws.timestep = torch.full((count,), int(level * self.num_timesteps))
        return draws

    def of_x_0(self, batch: int, count: int) -> Tensor | None:
        """(count, *shape), by which x_0 of further rows is drawn; None: it is not."""
        return self._draw("x_0", self.seed, batch, count=count).posterior

    def _draw(self, *of: str | int, count: int) -> Draws:
        keys: list[Key] = [(*of, row) for row in range(count)]
        timesteps = uniform_timesteps(self.num_timesteps)
        return draw(keys, self.shape, timesteps, caption_drop=0.0, posterior=self.posterior)


@dataclass(frozen=True)
class Denoised:
    """What a network makes of noised pictures.

    loss: (B,), by which held-out pictures are judged.
    x_0_hat: its guess of x_0, in the range of x_0, to which samplers clip it too; None where it
        predicts something else.
    """

    loss: PerSample
    x_0: Images
    x_t: Images
    timestep: Timesteps
    x_0_hat: Images | None


Denoiser = Callable[[Tensor, Draws, Conditioning], Denoised]
