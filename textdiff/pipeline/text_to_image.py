"""Prompt in, images out.

    prompts, settings ── plan, see `checks` ──► DrawPlan ── steps, see `drawing` ──► pictures

What a model folder holds: see `loading`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from textdiff import checkpoint
from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.config import build
from textdiff.cuda_graphs import Graphs
from textdiff.data.grid import to_pil
from textdiff.devices import pick_device
from textdiff.models.unet import UNet
from textdiff.pictures import CHANNELS
from textdiff.pipeline.checks import checked_plan
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.drawing import drawn_steps
from textdiff.pipeline.embedding_source import EmbeddingSource
from textdiff.pipeline.guides import guide_of, judge_of
from textdiff.pipeline.init import Init, square_picture
from textdiff.pipeline.loading import (
    MODEL_FILE,
    check_trained_as,
    find_weights,
    load_clip,
    load_vae,
    read_config,
)
from textdiff.pipeline.model import Model
from textdiff.pipeline.network import RoundedCopy
from textdiff.pipeline.origin import keywords, read_origin
from textdiff.pipeline.plan import DrawPlan, DrawStep
from textdiff.pipeline.unclip import noise_of
from textdiff.types import Features, Pictures, Samples

if TYPE_CHECKING:
    from textdiff.pipeline.prior import Prior


@dataclass
class TextToImage(Model):
    """A model that draws what prompts say.

    guides: CLIPs that guide or choose, by the name that `clip_guide` or `judge` gives them; loaded
        as they are needed.
    graphs: on a GPU, launch the kernels of a step together, which is faster where they are small;
        the pictures are the same. `graphs.clear()` gives their memory back. None: one by one.
    priors: of an unCLIP decoder, by the name that `prior` gives them; loaded as they are needed.
    """

    guides: dict[str, ClipModel | NoisedClip] = field(default_factory=dict, repr=False)
    graphs: Graphs | None = field(default_factory=Graphs, repr=False, compare=False)
    priors: dict[str, Prior] = field(default_factory=dict, repr=False)
    _rounded: RoundedCopy = field(
        default_factory=RoundedCopy, init=False, repr=False, compare=False
    )
    _warned: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str | torch.device = "auto",
        step: int | None = None,
    ) -> TextToImage:
        """From a run folder or an exported one, both networks frozen.

        device: as the commands' --device: "auto" is the fastest there is.
        step: of the checkpoint of a run; None: the newest good one.

        Raises:
            CheckpointError: the folder is no model, or its weights cannot be used.
            UsageError: a device that this machine lacks.
        """
        device = pick_device(device) if isinstance(device, str) else device
        folder = Path(folder).expanduser()
        config = read_config(folder)
        weights, state = find_weights(folder, step=step)
        fixed = state.get("fixed", {})
        check_trained_as(config, fixed, folder / MODEL_FILE, weights.parent)
        tensors = checkpoint.load_tensors(weights)
        unet = checkpoint.build_module(lambda: UNet(config.unet), tensors, weights)
        clip = load_clip(folder, config, fixed.get("clip_weights"))
        vae = load_vae(folder, config, fixed)
        return cls(unet, clip, config, state.get("step"), vae=vae).freeze().to(device)

    def freeze(self) -> TextToImage:
        """Both networks in eval mode, without gradients of their weights."""
        self.unet.eval().requires_grad_(False)
        self.clip.freeze()
        return self

    def to(self, device: str | torch.device) -> TextToImage:
        """Moves the networks."""
        self._rounded.drop()
        if self.graphs is not None:
            self.graphs.clear()
        for network in (self.unet, self.clip, *self.guides.values(), *self.priors.values()):
            network.to(device)
        if self.vae is not None:
            self.vae.to(device)
        return self

    @cached_property
    def unclip(self) -> EmbeddingSource:
        """Whose embeddings an unCLIP decoder draws."""
        return EmbeddingSource(self.clip, self.config.unet, self.priors)

    def guide(self, config: SamplingConfig) -> ClipModel | NoisedClip | None:
        """The CLIP whose gradient guides by these settings, frozen; None where none does.

        Raises:
            UsageError: one that cannot guide this model so. CheckpointError: no CLIP there.
        """
        return guide_of(self, self.guides, config)

    def judge(
        self, prompts: Sequence[str], config: SamplingConfig
    ) -> ClipModel | NoisedClip | None:
        """The CLIP that chooses among candidates, frozen; None where there is one of each picture.

        Raises:
            UsageError: one that cannot choose so. CheckpointError: no CLIP there.
        """
        return judge_of(self, self.guides, prompts, config)

    def plan(
        self,
        prompts: str | Sequence[str],
        config: SamplingConfig | None = None,
        *,
        first: int = 0,
        init: Init | None = None,
        clip_image: Pictures | None = None,
        image: Features | None = None,
    ) -> DrawPlan:
        """One picture per prompt, all checked now; image k uses the noise of (seed, first + k).

        config: None takes the defaults.
        clip_image: (3, S, S) uint8, towards which CLIP guides in place of the prompts.
        image: (n, E) CLIP embeddings of pictures, one per prompt, for an unCLIP decoder; None: the
            prior of `config` draws them.

        Raises:
            UsageError: settings that the model cannot follow, or with `strict` a prompt that is too
                long; without, it is cut with a warning.
            CheckpointError: no CLIP where `clip_guide` says.
        """
        plan = self._checked(prompts, config or SamplingConfig(), first, init, clip_image)
        return self.unclip.of_prompts(plan) if image is None else self.unclip.given(plan, image)

    def plan_from(
        self,
        prompts: str | Sequence[str],
        config: SamplingConfig,
        *,
        first: int = 0,
        init_image: Image.Image | Tensor | None = None,
        mask: Image.Image | Tensor | None = None,
        clip_image: Image.Image | Tensor | None = None,
        vary: Image.Image | Tensor | None = None,
        vary_to: Image.Image | Tensor | None = None,
    ) -> DrawPlan:
        """`plan`, of pictures of any size: PIL, or uint8 (3, H, W).

        vary: whose embedding an unCLIP decoder draws; vary_to: towards whose it goes by
            `config.unclip.share`.

        Raises:
            UsageError, CheckpointError: as `plan`; a mask of another size than its picture.
            BadImage: a picture that cannot be converted.
        """
        size = self.config.image_size
        plan = self._checked(
            prompts,
            config,
            first,
            Init.from_pictures(init_image, mask, config.strength, size),
            None if clip_image is None else square_picture("clip_image", clip_image, size),
        )
        if vary is None and vary_to is None:
            return self.unclip.of_prompts(plan)
        plan = self.unclip.varied(plan, vary, vary_to)
        if vary is None or not config.unclip.keep_noise:
            return plan
        return replace(plan, x_T=noise_of(self, plan, vary))

    def _checked(
        self,
        prompts: str | Sequence[str],
        config: SamplingConfig,
        first: int,
        init: Init | None,
        clip_image: Pictures | None,
    ) -> DrawPlan:
        """A plan that lacks a decoder's embeddings. Raises as `plan`."""
        return checked_plan(
            self,
            self.guides,
            prompts,
            config,
            first=first,
            init=init,
            clip_image=clip_image,
            warn=self._warn_once,
        )

    def steps(self, plan: DrawPlan) -> Iterator[DrawStep]:
        """Draws the plan's pictures, batch by batch, step by step."""
        yield from drawn_steps(self, plan, self._rounded, self.graphs)

    def draw(self, plan: DrawPlan, progress: bool = False) -> Pictures:
        """The plan's pictures (n, 3, S, S) uint8 on the CPU.

        progress: show a progress bar.
        """
        from tqdm import tqdm

        batches: list[Tensor] = []
        with tqdm(total=plan.num_steps, disable=not progress, unit="step") as bar:
            for step in self.steps(plan):
                bar.update()
                if step.index == 0:
                    batches.append(self.pictures(plan, step.x_t))
        side = self.config.image_size
        return torch.cat([torch.empty(0, CHANNELS, side, side, dtype=torch.uint8), *batches])

    def pictures(self, plan: DrawPlan, x_0: Samples) -> Pictures:
        """Of samples of the plan, (n, 3, S, S) uint8 on the CPU. Pixels that its mask keeps are
        those of the picture that it starts from, though a VAE would change them."""
        pictures = self.codec.decode(x_0)
        if plan.init is None or self.vae is None:
            return pictures
        return plan.init.pasted(pictures)

    @staticmethod
    def settings_of(path: str | Path) -> dict[str, Any]:
        """Keywords that draw the picture in `path`, a PNG of `textdiff sample`, again:
        `pipe(**TextToImage.settings_of(path))`, the same picture but for rounding in sums over
        another batch (`textdiff sample --from` draws the whole batch, and the same bits).

        Raises:
            UsageError: no settings in it, or a picture that it was made from is gone or another.
        """
        return keywords(read_origin(path))

    def __call__(
        self,
        prompts: str | Sequence[str],
        num_images: int = 1,
        first: int = 0,
        progress: bool = False,
        init_image: Image.Image | Tensor | None = None,
        mask: Image.Image | Tensor | None = None,
        clip_image: Image.Image | Tensor | None = None,
        vary: Image.Image | Tensor | None = None,
        vary_to: Image.Image | Tensor | None = None,
        **settings: Any,
    ) -> list[Image.Image]:
        """Pictures of each prompt: `num_images` of the first, then of the second, and so on.

        Args:
            prompts: one prompt or several; "" draws without text.
            first: number of the first picture; the k-th of a seed alone: `first=k`.
            progress: show a progress bar.
            init_image: picture to start from, PIL or uint8 (3, H, W); `strength` of the forward
                process is gone back.
            mask: of the same size; white is drawn anew, black is kept.
            clip_image: picture, PIL or uint8 (3, H, W), towards whose CLIP feature the gradient
                guides in place of the prompt's.
            vary: picture, PIL or uint8 (3, H, W), of which an unCLIP decoder draws variations.
            vary_to: picture that they go towards, by `share`.
            settings: fields of SamplingConfig, e.g. sampler="ddim", num_steps=50,
                guidance_scale=3.0, negative_prompt="", seed=0, clip_guidance_scale=1.0,
                clip_guide="runs/noised-clip", best_of=8, judge="runs/noised-clip",
                keep_after=[0.4], prior="runs/prior".

        Raises:
            UsageError: an unknown or impossible setting, with strict=True a prompt that is too
                long, a mask of another size than its picture, or a CLIP that cannot guide this
                model.
            CheckpointError: no CLIP where `clip_guide` says.
        """
        config = build(SamplingConfig, [("TextToImage", settings)])
        prompts = [prompts] if isinstance(prompts, str) else prompts
        plan = self.plan_from(
            [prompt for prompt in prompts for _ in range(num_images)],
            config,
            first=first,
            init_image=init_image,
            mask=mask,
            clip_image=clip_image,
            vary=vary,
            vary_to=vary_to,
        )
        return to_pil(self.draw(plan, progress))

    def _warn_once(self, message: str | None) -> None:
        if message is not None and message not in self._warned:
            logging.getLogger(__name__).warning(message)
            self._warned.add(message)
