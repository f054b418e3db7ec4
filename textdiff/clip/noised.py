"""A CLIP whose image tower reads noised pictures x_t and their timestep (GLIDE, arXiv 2112.10741).

    x_t, t -> image tower, shifted by `TimestepShift(t)` at its joints -> features f(x_t, t), (B, E)
    captions -> text tower, without timestep                           -> features g(c), (B, E)

The shifts start at exactly zero: before training, f(x_t, t) is the clean CLIP's feature of x_t. At
any one timestep they are constants, which can be added to biases of the tower; so f(x_t, 0) is a
plain CLIP again (`clean`), which open_clip can load.

Fine-tuning makes the tower worse on clean pictures. With `clean_below`, a frozen copy of the tower
from before fine-tuning reads t < clean_below, so that f(x_0, 0) stays the clean CLIP's feature to
the bit. A batch of one timestep passes through one of the towers alone; the copy costs only memory.

Of a latent diffusion model x_t are noised latents, which the tower reads by a first layer of its
own (`clip.latent_stem`), without decoder; `clean/` then is the CLIP that pictures were read with.

    folder/noised.yaml               image_size, schedule, where the weights came from
    folder/noised_clip.safetensors   every tensor
    folder/clean/                    f(., 0) as an open_clip folder, with the tokenizer
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textdiff import checkpoint
from textdiff.clip.config import NoisedClipConfig
from textdiff.clip.latent_stem import fit_to_pixels, read_latents
from textdiff.clip.model import ClipModel, TextFeatures
from textdiff.clip.timestep import TimestepShift, joints, shifted
from textdiff.clip.tokens import Tokens
from textdiff.config import build, read_yaml, to_yaml
from textdiff.errors import CheckpointError, UsageError
from textdiff.files import write_text
from textdiff.latent_space import LatentSpace
from textdiff.manifests import MANIFEST, verify_folder, write_manifest
from textdiff.randomness import weights_drawn_by
from textdiff.timesteps import known_timestep
from textdiff.types import Features, Images, Timesteps

CONFIG = "noised.yaml"
WEIGHTS = "noised_clip.safetensors"
CLEAN_FOLDER = "clean"


class NoisedClip(nn.Module):
    """`clip` with timesteps. Text, tokens and pixel normalisation are `clip`'s.

    Args:
        clip: its weights become this module's own.
        seed: of the timestep layers' random part.

    Raises:
        UsageError: an image tower that timesteps cannot be added to.
    """

    def __init__(self, clip: ClipModel, config: NoisedClipConfig, seed: int = 0) -> None:
        super().__init__()
        self.clip, self.config = clip, config
        # in a list, so that it is no part of this module: what read pictures
        self._of_pictures: list[Any] = []
        if config.latents is not None:
            self._of_pictures = [copy.deepcopy(clip.model.visual)]
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)
                read_latents(clip.model.visual, config.channels, config.image_size)
            clip.to(clip.mean.device)
        self._joints = joints(clip.model.visual)
        self.clean_visual: nn.Module | None = None
        if config.clean_below:
            self.clean_visual = copy.deepcopy(clip.model.visual).requires_grad_(False)
        with weights_drawn_by(seed):
            self.time = TimestepShift([joint.width for joint in self._joints])
        self.time.to(clip.mean.device)
        self.train(clip.training)

    @classmethod
    def load(cls, folder: str | Path) -> NoisedClip:
        """From a folder that `save` wrote, such as a run folder; in eval mode.

        Raises:
            CheckpointError: files missing, unreadable, or that do not fit each other.
        """
        folder = Path(folder)
        if not (folder / CONFIG).is_file():
            raise CheckpointError(
                f"no noised CLIP in {folder}: it has no {CONFIG}; give a run folder of "
                "'textdiff finetune-clip'"
            )
        verify_folder(folder, ours=True)
        config = _read_config(folder / CONFIG)
        noised = cls(ClipModel.load(folder / CLEAN_FOLDER), config)
        tensors = checkpoint.load_tensors(folder / WEIGHTS)
        checkpoint.load_module(noised, tensors, folder / WEIGHTS)
        return noised

    @classmethod
    def untrained_like(cls, folder: str | Path) -> NoisedClip:
        """Of the architecture of a folder whose weights may be damaged.

        Raises:
            CheckpointError: the other files are, too; or it reads latents, whose clean tower is
                nowhere else.
        """
        folder = Path(folder)
        verify_folder(folder, ours=True, but=(WEIGHTS,))
        config = _read_config(folder / CONFIG)
        if config.latents is not None:
            raise CheckpointError(
                f"{folder / CLEAN_FOLDER} cannot be used, and checkpoints lack what it held: start "
                "the training again, which writes it"
            )
        return cls(ClipModel.untrained_like(folder / CLEAN_FOLDER), config)

    def save(self, folder: str | Path) -> None:
        """Writes a folder that `load` reads, and open_clip its `clean/`."""
        folder = Path(folder)
        self.clean().save(folder / CLEAN_FOLDER)
        checkpoint.save_tensors(folder / WEIGHTS, self.state_dict())
        # The config last: a folder without one is none.
        write_text(folder / CONFIG, to_yaml(self.config))
        write_manifest(folder, [WEIGHTS, CONFIG, f"{CLEAN_FOLDER}/{MANIFEST}"])

    def clean(self) -> ClipModel:
        """A copy without timestep that gives the features of t = 0; of a CLIP of latents one that
        reads pictures, as before. Its scale is the fine-tuned one, even where its image tower is
        not."""
        if not self._of_pictures:
            return self.at(0)
        clip = copy.deepcopy(self.clip)
        clip.model.visual = copy.deepcopy(self._of_pictures[0]).to(self.clip.mean.device)
        return clip

    @torch.no_grad()
    def at(self, timestep: int) -> ClipModel:
        """A copy without timestep that gives the features of `timestep`, 0..T-1."""
        clip = copy.deepcopy(self.clip)
        if timestep < self.config.clean_below:
            clip.model.visual = copy.deepcopy(self.clean_visual)
            return clip
        shifts = self.time(torch.tensor([timestep], device=self.clip.mean.device))
        for joint, shift in zip(joints(clip.model.visual), shifts, strict=True):
            joint.bias.add_(shift[0])
        return clip

    def start_from_pixels(self, pictures: Images, latents: Images) -> None:
        """Fits the first layer of a transformer that reads latents to the one that read pixels; a
        ResNet's stays random.

        Args:
            pictures: (n, 3, S, S) in [-1, 1]. latents: of them, normalised.
        """
        before, visual = self._of_pictures[0], self.clip.model.visual
        if self.clip.tower_kind == "vit":
            embedded = before.conv1(self.clip.made_ready(pictures))
            fit_to_pixels(visual, latents.to(embedded), embedded)

    def freeze(self) -> NoisedClip:
        """In eval mode for good, without gradients of its own weights."""
        self.requires_grad_(False)
        self.clip.freeze()
        return self.eval()

    def train_parts(self, text: bool) -> NoisedClip:
        """Training mode, with gradients for the image tower, the timestep layers, the scale and, if
        `text`, the text tower. The frozen copy of the image tower has none."""
        model = self.clip.model
        self.clip.requires_grad_(text)
        for part in (model.visual, self.time, model.logit_scale):
            part.requires_grad_(True)
        if getattr(model, "logit_bias", None) is not None:  # a constant for the softmax
            model.logit_bias.requires_grad_(False)
        return self.train()

    def train(self, mode: bool = True) -> NoisedClip:
        """Training mode, unless frozen. Batch norms keep the clean CLIP's statistics: those of a
        batch would mix noise levels."""
        super().train(mode and not self.clip.frozen)
        if self.clean_visual is not None:
            self.clean_visual.eval()
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    @property
    def latents(self) -> LatentSpace | None:
        """Which it reads; None: it reads pixels."""
        return self.config.latents

    @property
    def image_size(self) -> int:
        """Side of x_t, as the diffusion model draws it; the tower may see another."""
        return self.config.image_size

    @property
    def num_timesteps(self) -> int:
        """T: timesteps are 0..T-1."""
        return self.config.num_timesteps

    @property
    def schedule_config(self) -> dict[str, Any]:
        """The noise schedule, for `diffusion.ScheduleConfig(**schedule_config)`."""
        return self.config.schedule

    @property
    def embed_dim(self) -> int:
        """E, the length of features."""
        return self.clip.embed_dim

    @property
    def context_length(self) -> int:
        """Most tokens of a caption, start and end included."""
        return self.clip.context_length

    @property
    def logit_scale(self) -> Tensor:
        """Scalar exp(t); the stored parameter is t."""
        return self.clip.logit_scale

    def clamp_logit_scale_(self) -> None:
        self.clip.clamp_logit_scale_()

    def weights_hash(self) -> str:
        """Of both towers, the clean image tower if there is one, the timestep layers and the scale;
        see `checkpoint.weights_hash`."""
        return checkpoint.weights_hash(self)

    def tokenize(self, captions: list[str], length: int | None = None) -> Tokens:
        """As `ClipModel.tokenize`."""
        return self.clip.tokenize(captions, length)

    def encode_text(self, captions: Tokens | list[str], trim: bool = True) -> TextFeatures:
        """As `ClipModel.encode_text`."""
        return self.clip.encode_text(captions, trim)

    def encode_image(self, x_t: Tensor, timestep: Tensor) -> Features:
        """Image features (B, E), not normalised; differentiable in x_t.

        Args:
            x_t: (B, C, S, S) float noised from [-1, 1] or from latents, not clipped, S =
                `image_size`.
            timestep: (B,) int64, 0..T-1.

        Raises:
            ValueError: x_t of another size or type, timesteps of another number or out of range.
        """
        self._check(x_t, timestep)
        known = known_timestep(timestep)
        timestep = timestep.to(self.clip.mean.device)
        if self.clean_visual is None:
            return self._encode_noised(x_t, timestep)
        clean = timestep < self.config.clean_below
        none, every = (
            (not clean.any(), clean.all())
            if known is None
            else (known >= self.config.clean_below, known < self.config.clean_below)
        )
        if none:
            return self._encode_noised(x_t, timestep)
        features = self.clip.encode_image(x_t, self.clean_visual)
        if every:
            return features
        return torch.where(clean[:, None], features, self._encode_noised(x_t, timestep))

    def _encode_noised(self, x_t: Images, timestep: Timesteps) -> Features:
        with shifted(self._joints, self.time(timestep)):
            if self.latents is None:
                return self.clip.encode_image(x_t)
            return self.clip.run_tower(x_t.to(self.clip.mean))

    def forward(
        self, x_t: Images, timestep: Timesteps, texts: Tokens | Features
    ) -> tuple[Features, Features, Tensor]:
        """Unit image features (B, E), unit text features (B, E), scalar exp(t): for the loss.

        Args:
            texts: tokens, or their features (B, E) where the text tower is not trained.
        """
        if isinstance(texts, Tokens):
            texts = self.encode_text(texts).projected
        image_features = F.normalize(self.encode_image(x_t, timestep), dim=-1)
        return image_features, F.normalize(texts, dim=-1), self.logit_scale

    def _check(self, x_t: Tensor, timestep: Tensor) -> None:
        side, channels = self.image_size, self.config.channels
        if x_t.shape[1:] != (channels, side, side) or not x_t.is_floating_point():
            raise ValueError(
                f"this noised CLIP reads float x_t (B, {channels}, {side}, {side}), "
                f"got {x_t.dtype} {tuple(x_t.shape)}"
            )
        if timestep.shape != (len(x_t),):
            raise ValueError(f"{len(x_t)} pictures, but timestep {tuple(timestep.shape)}")
        known = known_timestep(timestep)
        if known is None:
            outside = timestep[(timestep < 0) | (timestep >= self.num_timesteps)].tolist()
        else:
            outside = [] if 0 <= known < self.num_timesteps else [known]
        if outside:
            raise ValueError(f"timesteps must lie in 0..{self.num_timesteps - 1}, got {outside[0]}")


def _read_config(file: Path) -> NoisedClipConfig:
    try:
        return build(NoisedClipConfig, [(str(file), read_yaml(file))])
    except UsageError as error:
        raise CheckpointError(f"{file} describes no noised CLIP of this version: {error}") from None
