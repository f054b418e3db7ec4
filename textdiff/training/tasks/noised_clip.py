"""CLIP fine-tuning on noised pictures as a task (GLIDE, arXiv 2112.10741, section 2.4).

image (shifted) ──► x_0, or its latent;   (seed, step, sample id) ──► t of a density, eps
x_t = sqrt(ac) x_0 + sqrt(1 - ac) eps
loss = contrastive_loss(f(x_t, t), g(caption)) + w mean(s(t) (1 - cos(f(x_t, t), f_clean(x_0))))

s(t) = 1, or ac(t): under little noise x_t still shows what the clean tower sees in x_0, under much
noise it does not. A share of the pictures may be read at t = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textdiff.clip.contrastive.loss import contrastive_loss
from textdiff.clip.features import text_features
from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.data.base import CaptionedImages
from textdiff.data.training_data import TrainingData
from textdiff.diffusion.config import DensityConfig
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.diffusion.timestep_density import draw_timesteps, timestep_density
from textdiff.metrics.features import captions_of
from textdiff.metrics.noised import fixed_noise, noised_features
from textdiff.metrics.retrieval import image_text_retrieval
from textdiff.pictures import to_float
from textdiff.randomness import Stream, normals
from textdiff.training.captions import CaptionFeatures, CaptionTokens
from textdiff.training.draws import keys_of
from textdiff.training.latent_images import LatentImages
from textdiff.training.latents import LatentEncoder
from textdiff.training.learning.answer import noised_clip_answer
from textdiff.training.run_folder import RunFolder
from textdiff.training.scale_watch import ScaleWatch
from textdiff.training.shift import shift_pictures
from textdiff.types import Batch, Features, Images, PerSample, Pictures, Timesteps

EVAL_LEVELS = 4


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Towards what a frozen clean CLIP sees in x_0.

    weight: w.
    by_signal: s(t) = ac(t), else 1.
    """

    teacher: ClipModel
    weight: float
    by_signal: bool = False

    def distance(self, image_features: Features, pictures: Pictures) -> PerSample:
        """1 - cosine to the teacher's features."""
        with torch.no_grad():
            target = self.teacher.to(image_features.device).encode_image(to_float(pictures))
        return 1 - F.cosine_similarity(image_features.float(), target.float())


class NoisedClipTask:
    """Trains the image tower of `clip`, its timestep layers and the scale.

    Args:
        texts: features of captions by a frozen text tower; None trains the text tower too.
        distillation: None without.
        clean_share: share of the pictures that are drawn at t = 0, the others from `density`.
        held_out: split for retrieval numbers, None without one.
        latents: makes the latents of pictures that are noised; None: pixels are.
        data: what batches are read from, where it may keep latents.
        max_shift: pictures are shifted by up to this many pixels each way before noise is added.
    """

    name = "noised_clip"

    def __init__(
        self,
        *,
        clip: NoisedClip,
        schedule: NoiseSchedule,
        seed: int,
        density: DensityConfig | None = None,
        texts: CaptionFeatures | None = None,
        distillation: Distillation | None = None,
        held_out: CaptionedImages | None = None,
        eval_images: int = 1000,
        max_shift: int = 0,
        clean_share: float = 0.0,
        latents: LatentEncoder | None = None,
        data: TrainingData | None = None,
    ):
        self.model, self.schedule, self.seed = clip, schedule, seed
        self.density = training_density(
            timestep_density(density or DensityConfig(), schedule),
            clip.config.clean_below,
            clean_share,
        )
        self.texts = texts or CaptionTokens(clip)
        self.distillation = distillation
        self.held_out, self.eval_images, self.max_shift = held_out, eval_images, max_shift
        self.latents, self.data = latents, data
        self.watch = ScaleWatch()

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        image = batch.image
        if self.max_shift:
            image = shift_pictures(batch, self.max_shift, self.seed, step)
        image = image.to(self.model.logit_scale.device)
        x_0 = self.x_0(image, batch, step)
        eps, timestep = self.draw(batch, step)
        timestep = timestep.to(x_0.device)
        x_t = self.schedule.add_noise(x_0, eps.to(x_0.device), timestep)
        image_features, text_features, scale = model(x_t, timestep, self.texts(batch.captions))
        self.watch.keep(scale, step)
        contrastive = contrastive_loss(image_features, text_features, scale)
        values = {"loss": contrastive, "logit_scale": scale.detach()}
        if self.distillation is not None:
            distance = self.distillation.distance(image_features, image)
            if self.distillation.by_signal:
                distance = self.schedule.at("alphas_cumprod", timestep, distance) * distance
            values |= {
                "loss": contrastive + self.distillation.weight * distance.mean(),
                "contrastive": contrastive.detach(),
                "distillation": distance.detach(),
            }
        return values

    def x_0(self, image: Tensor, batch: Batch, step: int) -> Images:
        """Of pictures (B, 3, S, S) uint8 or rows of latents, drawn by (seed, step, epoch, sample
        id) where latents are."""
        if self.latents is None:
            return to_float(image)
        eps = None
        if self.latents.sampled:
            streams = [Stream("posterior", *key) for key in keys_of(batch, self.seed, step)]
            eps = normals(streams, self.latents.codec.shape)
        return self.latents.x_0(image, eps)

    def shape_of(self, image: Tensor) -> tuple[int, ...]:
        """(C, H, W) of x_0 of these pictures."""
        return tuple(image.shape[1:]) if self.latents is None else self.latents.codec.shape

    def fill_cache(self, reads: int, rank: int = 0, ranks: int = 1) -> str | None:
        """As `Caching`: of latents."""
        if self.latents is None or not isinstance(self.data, LatentImages):
            return None
        return self.data.fill(self.latents, reads, rank, ranks)

    def draw(self, batch: Batch, step: int) -> tuple[Images, Timesteps]:
        """eps (B, C, H, W) and timestep (B,), a function of (seed, step, epoch, sample id)."""
        streams = [Stream("noised clip", *key) for key in keys_of(batch, self.seed, step)]
        uniforms = torch.stack([stream.uniform() for stream in streams])
        eps = normals(streams, self.shape_of(batch.image))
        return eps, draw_timesteps(self.density, uniforms)

    def after_update(self) -> None:
        """Keeps the scale in [1, 100] (CLIP, section 2.5)."""
        self.watch.see_kept()
        self.model.clamp_logit_scale_()

    def export(self, folder: Path) -> None:
        """Makes the run folder one that `NoisedClip.load` reads."""
        self.model.save(folder)

    @torch.no_grad()
    def evaluate(self, step: int, run: RunFolder) -> dict[str, float]:
        """Retrieval on the held-out split at evenly spaced timesteps, beside chance."""
        if self.held_out is None:
            return {}
        count = min(len(self.held_out), self.eval_images)
        used, image = self.held_out.usable(range(count))
        captions = captions_of(self.held_out, used)
        text = text_features(self.model, captions.texts)
        to_x_0 = to_float if self.latents is None else self.latents.codec.encode
        eps = fixed_noise(used, self.shape_of(image), self.seed)
        values = {}
        for level in range(EVAL_LEVELS):
            timestep = level * (self.schedule.num_timesteps - 1) // EVAL_LEVELS
            features = noised_features(
                self.model.encode_image, image, eps, timestep, self.schedule, to_x_0
            )
            retrieval = image_text_retrieval(features, text, captions.image, captions.text)
            ranking = retrieval.image_to_text
            for k in (1, 5):
                values[f"held_out/R@{k}_t{timestep}"] = ranking.recall(k)
        return values | {"held_out/chance_R@5": ranking.chance(5)}

    def in_words(self, values: dict[str, float]) -> str:
        by_timestep = [
            f"t {name.rpartition('_t')[2]}: {value:.1%}"
            for name, value in values.items()
            if name.startswith("held_out/R@5_t")
        ]
        chance = values["held_out/chance_R@5"]
        return f"image to text R@5 at {', '.join(by_timestep)} (chance {chance:.1%})"

    def verdict(self, values: dict[str, float], step: int) -> list[str]:
        return noised_clip_answer(values, step)


def training_density(density: Tensor, clean_below: int, clean_share: float) -> Tensor:
    """`density` (T,) without the timesteps below `clean_below`, and with `clean_share` of all draws
    moved to t = 0."""
    density = density.clone()
    density[:clean_below] = 0
    density *= (1 - clean_share) / density.sum()
    density[0] += clean_share
    return density
