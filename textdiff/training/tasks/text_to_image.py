"""Text-to-image as a task, of either kind of diffusion.

image, caption ──► x_0, Conditioning;   (seed, step, sample id) ──► t, eps, caption dropped or not
every so often:   a grid of prompts is drawn,  losses and errors of held-out images by quarter of t,
                  the same of training images, and what another prompt changes
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import ClassVar

from torch import Tensor, nn

from textdiff.data.base import CaptionedImages
from textdiff.models.unet import UNet
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.training.draws import Draws, draw, keys_of, uniform_timesteps
from textdiff.training.latent_images import LatentImages
from textdiff.training.latents import LatentEncoder
from textdiff.training.learning.answer import model_answer
from textdiff.training.learning.errors import (
    Errors,
    denoise_quarters,
    losses_and_errors,
    mean_losses,
)
from textdiff.training.learning.probe import (
    Denoised,
    FixedNoise,
    Probe,
    first_of,
    pictures_all_over,
    spread_over,
)
from textdiff.training.learning.references import PixelStatistics
from textdiff.training.learning.text import text_response
from textdiff.training.picture_embeddings import PictureEmbeddings
from textdiff.training.run_folder import RunFolder
from textdiff.training.sample_grid import draw_samples
from textdiff.types import Batch, Conditioning, Images, PerSample, Timesteps

TRAINED = "train"  # the split that batches are of
COUNTED = 256  # images whose pixels' mean and variance are known
EXAMINED = 16  # images that tell more than held-out numbers do; see `learning.cost`


@dataclass(kw_only=True)
class TextToImageTask(ABC):
    """Trains `pipe.unet`; everything else of `pipe` is frozen.

    Args:
        embed: the conditioning of B captions, on the U-Net's device.
        caption_drop: share of captions that are replaced by the empty one.
        pictures: embeddings of the pictures, which an unCLIP decoder sees; None: it is none.
        image_drop: share of them that are replaced by 0.
        latents: makes latents of pictures, for a U-Net that diffuses these; None: it does not.
        held_out: split to evaluate on, None without one.
        eval_images: how many of it per quarter of the timesteps.
        seen: what it is trained on, to tell learning by heart from not learning; None: not asked.
        prompts: captions of the sample grid; none are drawn if empty.
        prompt_ids: training images that have them, which a decoder draws variations of.
        preview: how they are drawn.
    """

    name: ClassVar[str] = "unet"

    pipe: TextToImage
    embed: Callable[[Sequence[str]], Conditioning]
    seed: int
    caption_drop: float
    pictures: PictureEmbeddings | None = None
    image_drop: float = 0.0
    latents: LatentEncoder | None = None
    held_out: CaptionedImages | None = None
    eval_images: int = 64
    seen: CaptionedImages | LatentImages | None = None
    prompts: Sequence[str] = ()
    prompt_ids: Sequence[int] = ()
    preview: SamplingConfig = field(default_factory=SamplingConfig)
    # by the id of a batch, which is held so that no other can have it, and its step to come
    _prepared: dict[tuple[int, int], tuple[Batch, Draws]] = field(
        default_factory=dict, init=False, repr=False
    )

    @abstractmethod
    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        """As `Task.losses`."""

    @abstractmethod
    def denoised(self, images: Tensor, draws: Draws, conditioning: Conditioning) -> Denoised:
        """What the network makes of noised pictures, and the loss that they are judged by."""

    @abstractmethod
    def single_pixels(self, pixels: PixelStatistics, x_t: Images, timestep: Timesteps) -> Images:
        """x_0_hat of whoever sees each pixel of x_t alone; see `learning.references`."""

    @abstractmethod
    def held_out_values(self, means: list[float]) -> dict[str, float]:
        """The numbers to log, from the mean loss in each quarter of the timesteps."""

    def draw_timesteps(self, uniforms: PerSample) -> tuple[Timesteps, PerSample | None]:
        """As `draws.DrawTimesteps`: each as often as any other."""
        return uniform_timesteps(self.pipe.schedule.num_timesteps)(uniforms)

    @property
    def model(self) -> UNet:
        return self.pipe.unet

    def draw(self, batch: Batch, step: int) -> Draws:
        """The random part of `batch`, a function of (seed, step, epoch, sample id)."""
        _, prepared = self._prepared.pop((id(batch), step), (batch, None))
        return prepared or self._draw(batch, step)

    def prepare(self, batch: Batch, step: int) -> None:
        """Makes the draws, which take a CPU long, before the step."""
        self._prepared[id(batch), step] = batch, self._draw(batch, step)

    def _draw(self, batch: Batch, step: int) -> Draws:
        return draw(
            keys_of(batch, self.seed, step),
            self.pipe.codec.shape,
            self.draw_timesteps,
            self.caption_drop,
            None if self.pictures is None else self.image_drop,
            posterior=self._draws_x_0,
        )

    def conditioning(self, batch: Batch, draws: Draws) -> Conditioning:
        """What the U-Net sees of a batch beside x_t."""
        text = self.embed(draws.shown(batch.captions))
        if self.pictures is None:
            return text
        image = self.pictures.of(TRAINED, batch.sample_ids, draws.image_dropped)
        return self.pictures.beside(text, image)

    def conditioning_of(self, probe: Probe) -> Conditioning:
        """The same of a probe, with nothing dropped."""
        text = self.embed(probe.captions)
        if self.pictures is None:
            return text
        return self.pictures.beside(text, self.pictures.of(probe.split, probe.ids))

    @property
    def _draws_x_0(self) -> bool:
        return self.latents is not None and self.latents.sampled

    def fill_cache(self, reads: int, rank: int = 0, ranks: int = 1) -> str | None:
        """As `Caching`: of latents."""
        if self.latents is None or not isinstance(self.seen, LatentImages):
            return None
        return self.seen.fill(self.latents, reads, rank, ranks)

    def on_device(self, images: Tensor, draws: Draws) -> tuple[Images, Images, Timesteps]:
        """x_0, eps and timestep, where the U-Net is. images: as `Batch.image`."""
        device = self.pipe.device
        x_0 = self._encoded(images, draws.posterior)
        eps = draws.eps.to(device, non_blocking=True)
        return x_0, eps, draws.timestep.to(device, non_blocking=True)

    def _encoded(self, images: Tensor, eps: Images | None) -> Images:
        """x_0, where the U-Net is. eps: by which latents are drawn; None: they are not."""
        images = images.to(self.pipe.device, non_blocking=True)
        if self.latents is None:
            return self.pipe.codec.encode(images)
        return self.latents.x_0(images, eps)

    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Draws the sample grid; returns the numbers of held-out images."""
        image = None
        if self.pictures is not None:
            image = self.pictures.of(TRAINED, self.prompt_ids)
        draw_samples(self.pipe, self.prompts, self.preview, run.path / "samples", step, image)
        return self.held_out_numbers()

    def held_out_numbers(self) -> dict[str, float]:
        """The same images, noise and timesteps at every call; see `denoise_quarters`."""
        if self.held_out is None:
            return {}
        losses, errors = self._errors(first_of(self.held_out, self.eval_images))
        return self.held_out_values(losses) | (errors.values("held_out") if errors else {})

    def examine(self) -> dict[str, float]:
        """Errors of a few training images, and what another prompt changes in them."""
        if self.seen is None:
            return {}
        probe = spread_over(self.seen, EXAMINED, self.seed)
        _, errors = self._errors(probe)
        probe = self._encoded_once(probe)
        response = text_response(self.denoised, probe, self.conditioning_of(probe), self._noise)
        values = errors.values("training") if errors else {}
        return values | (response.values() if response else {})

    def quick_loss(self) -> float | None:
        """The held-out loss of a few images."""
        if self.held_out is None:
            return None
        return fmean(mean_losses(self._denoised(first_of(self.held_out, EXAMINED))))

    def verdict(self, values: dict[str, float], step: int) -> list[str]:
        return model_answer(values, step)

    def _errors(self, probe: Probe) -> tuple[list[float], Errors | None]:
        return losses_and_errors(self._denoised(probe), self._pixels, self.single_pixels)

    @cached_property
    def _pixels(self) -> PixelStatistics:
        """Of training pictures, or where they are not known of held-out ones."""
        data = self.seen or self.held_out
        assert data is not None  # nothing is asked then
        rows = enumerate(pictures_all_over(data, COUNTED, self.seed))
        batches = (self._encoded(images, self._noise.of_x_0(k, len(images))) for k, images in rows)
        return PixelStatistics.of(batches).to(self.pipe.device)

    def _encoded_once(self, probe: Probe) -> Probe:
        """Latents are encoded for all timesteps that are asked about."""
        if self.latents is None or probe.images.is_floating_point():
            return probe
        return replace(probe, images=self.latents.rows(probe.images))

    def _denoised(self, probe: Probe) -> Iterator[tuple[int, Denoised]]:
        probe = self._encoded_once(probe)
        return denoise_quarters(self.denoised, probe, self.conditioning_of(probe), self._noise)

    @property
    def _noise(self) -> FixedNoise:
        T = self.pipe.schedule.num_timesteps
        return FixedNoise(self.seed, self.pipe.codec.shape, T, posterior=self._draws_x_0)
