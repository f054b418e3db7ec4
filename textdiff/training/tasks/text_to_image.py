"""Text-to-image as a task, of either kind of diffusion.

image, caption ──► x_0, Conditioning;   (seed, step, sample id) ──► t, eps, caption dropped or not
every so often:   a grid of prompts is drawn,  the loss of held-out images by quarter of t
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from textdiff.data.base import CaptionedImages
from textdiff.diffusion.importance import ImportanceTimesteps
from textdiff.models.unet import UNet
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.training.draws import Draws, draw, keys_of, quarters
from textdiff.training.run_folder import RunFolder
from textdiff.training.sample_grid import draw_samples
from textdiff.types import Batch, Conditioning, Images, PerSample, Pictures, Timesteps


@dataclass(kw_only=True)
class TextToImageTask(ABC):
    """Trains `pipe.unet`; everything else of `pipe` is frozen.

    Args:
        embed: the conditioning of B captions, on the U-Net's device.
        caption_drop: share of captions that are replaced by the empty one.
        held_out: split to evaluate on, None without one.
        eval_images: how many of it per quarter of the timesteps.
        prompts: captions of the sample grid; none are drawn if empty.
        preview: how they are drawn.
    """

    name: ClassVar[str] = "unet"

    pipe: TextToImage
    embed: Callable[[Sequence[str]], Conditioning]
    seed: int
    caption_drop: float
    held_out: CaptionedImages | None = None
    eval_images: int = 64
    prompts: Sequence[str] = ()
    preview: SamplingConfig = field(default_factory=SamplingConfig)
    # by the id of a batch, which is held so that no other can have it, and its step to come
    _prepared: dict[tuple[int, int], tuple[Batch, Draws]] = field(
        default_factory=dict, init=False, repr=False
    )

    @abstractmethod
    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        """As `Task.losses`."""

    @abstractmethod
    def held_out_loss(
        self, images: Pictures, draws: Draws, conditioning: Conditioning
    ) -> PerSample:
        """What held-out images are judged by."""

    @abstractmethod
    def held_out_values(self, means: list[float]) -> dict[str, float]:
        """The numbers to log, from the mean loss in each quarter of the timesteps."""

    @property
    def model(self) -> UNet:
        return self.pipe.unet

    def draw(self, batch: Batch, step: int, importance: ImportanceTimesteps | None = None) -> Draws:
        """The random part of `batch`, a function of (seed, step, epoch, sample id)."""
        _, prepared = self._prepared.pop((id(batch), step), (batch, None))
        return prepared or self._draw(batch, step, importance)

    def prepare(self, batch: Batch, step: int) -> None:
        """Makes the draws, which take a CPU long, before the step."""
        self._prepared[id(batch), step] = batch, self._draw(batch, step)

    def _draw(
        self, batch: Batch, step: int, importance: ImportanceTimesteps | None = None
    ) -> Draws:
        return draw(
            keys_of(batch, self.seed, step),
            self.pipe.codec.shape,
            self.pipe.schedule.num_timesteps,
            self.caption_drop,
            importance,
        )

    def on_device(self, images: Pictures, draws: Draws) -> tuple[Images, Images, Timesteps]:
        """x_0, eps and timestep, where the U-Net is."""
        device = self.pipe.device
        x_0 = self.pipe.codec.encode(images.to(device, non_blocking=True))
        eps = draws.eps.to(device, non_blocking=True)
        return x_0, eps, draws.timestep.to(device, non_blocking=True)

    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Draws the sample grid; returns the numbers of held-out images."""
        file = run.path / "samples" / f"step-{step:06d}.png"
        draw_samples(self.pipe, self.prompts, self.preview, file)
        return self.held_out_numbers()

    def held_out_numbers(self) -> dict[str, float]:
        """The same images, noise and timesteps at every call; see `quarters`."""
        if self.held_out is None:
            return {}
        means = quarters(
            self.held_out_loss,
            self.held_out,
            count=self.eval_images,
            embed=self.embed,
            seed=self.seed,
            shape=self.pipe.codec.shape,
            num_timesteps=self.pipe.schedule.num_timesteps,
        )
        return self.held_out_values(means)
