"""Prompt in, images out.

    prompts, settings ── plan, which checks all once ──► DrawPlan
    prompts ── ClipModel.conditioning ──► U-Net with text bound ──┐
    seeds, or init image and mask ── Process.draw ◄───────────────┤ ──► DrawStep ... ──► x_0
    prompts, or a picture ── ClipGuide, where asked for ──────────┘      x_0 ── codec ──► pictures

What a model folder holds: see `pipeline.loading`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from PIL import Image
from torch import Tensor

from textdiff import checkpoint
from textdiff.binary.prediction import BinaryDenoise
from textdiff.binary.schedule import BinarySchedule
from textdiff.clip.features import image_features
from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.config import build, to_yaml
from textdiff.cuda_graphs import Graphs
from textdiff.data.grid import to_pil
from textdiff.devices import pick_device
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.embeddings import scaled_feature
from textdiff.files import write_text
from textdiff.latent_space import LatentSpace
from textdiff.manifests import MANIFEST, write_manifest
from textdiff.models.unet import UNet
from textdiff.pictures import CHANNELS, PictureCodec
from textdiff.pipeline.clip_guide import ClipGuide, check_guide, check_target, load_guide
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.embedding_source import EmbeddingSource
from textdiff.pipeline.init import Init, square_picture
from textdiff.pipeline.judge import ClipJudge, check_judge
from textdiff.pipeline.loading import (
    CLIP_FOLDER,
    MODEL_FILE,
    VAE_FOLDER,
    WEIGHTS_FILE,
    check_trained_as,
    find_weights,
    load_clip,
    load_vae,
    read_config,
)
from textdiff.pipeline.network import RoundedCopy, TextNetwork, run_bound
from textdiff.pipeline.origin import keywords, read_origin
from textdiff.pipeline.plan import (
    DrawPlan,
    DrawStep,
    check_prompts,
    check_settings,
    rounds_of,
)
from textdiff.pipeline.process import CODECS, PROCESSES, Process
from textdiff.pipeline.unclip import check_inverted, inverted, picture_embedding
from textdiff.precision import bf16_pays
from textdiff.sampling.noise import ImageNoise
from textdiff.types import Conditioning, Denoise, Features, Network, Pictures, Samples
from textdiff.vae import LatentCodec, Vae

if TYPE_CHECKING:
    from textdiff.pipeline.prior import Prior


@dataclass
class TextToImage:
    """A U-Net, the frozen CLIP that it is conditioned on, and what its output means.

    step: of its checkpoint.
    guides: CLIPs that guide or choose, by the name that `clip_guide` or `judge` gives them; loaded
        as they are needed.
    graphs: on a GPU, launch the kernels of a step together, which is faster where they are small;
        the pictures are the same. `graphs.clear()` gives their memory back. None: one by one.
    vae: whose latents are diffused; None: pixels are.
    priors: of an unCLIP decoder, by the name that `prior` gives them; loaded as they are needed.
    """

    unet: UNet
    clip: ClipModel
    config: ModelConfig
    step: int | None = None
    guides: dict[str, ClipModel | NoisedClip] = field(default_factory=dict, repr=False)
    graphs: Graphs | None = field(default_factory=Graphs, repr=False, compare=False)
    priors: dict[str, Prior] = field(default_factory=dict, repr=False)
    vae: Vae | None = None
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

    def save(self, folder: str | Path) -> None:
        """Writes a folder that `load` reads: model.yaml, clip/, vae/ if it has one, the weights."""
        folder = Path(folder).expanduser()
        self.clip.save(folder / CLIP_FOLDER)
        if self.vae is not None:
            self.vae.save(folder / VAE_FOLDER)
        checkpoint.save_tensors(folder / WEIGHTS_FILE, self.unet.state_dict())
        write_text(folder / MODEL_FILE, to_yaml(self.config))
        parts = [CLIP_FOLDER] if self.vae is None else [CLIP_FOLDER, VAE_FOLDER]
        manifests = [f"{part}/{MANIFEST}" for part in parts]
        write_manifest(folder, [WEIGHTS_FILE, MODEL_FILE, *manifests])

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.unet.conv_in.weight.device

    @cached_property
    def process(self) -> Process:
        """The kind of diffusion."""
        return PROCESSES[self.config.process](self.config)

    @property
    def schedule(self) -> NoiseSchedule | BinarySchedule:
        """How pictures are noised."""
        return self.process.schedule

    @cached_property
    def codec(self) -> PictureCodec:
        """Between stored pictures and what is diffused."""
        if self.vae is not None:
            return LatentCodec(self.vae, self.config.image_size)
        return CODECS[self.config.process](self.config)

    @cached_property
    def unclip(self) -> EmbeddingSource:
        """Whose embeddings an unCLIP decoder draws."""
        return EmbeddingSource(self.clip, self.config.unet, self.priors)

    @property
    def space(self) -> LatentSpace | None:
        """Which latents are diffused; None: pixels are."""
        return None if self.vae is None else self.vae.space

    def conditioning(self, prompts: list[str]) -> Conditioning:
        """What the U-Net sees of `prompts`, from those layers of CLIP that it was trained on."""
        config = self.config
        return self.clip.conditioning(
            prompts, layers=config.text_layers, padding=config.text_padding
        )

    def conditioning_of(self, prompts: list[str], pictures: Pictures) -> Conditioning:
        """What the U-Net sees of `pictures` (B, 3, H, W) uint8 and their prompts: in an unCLIP
        decoder each picture's own embedding besides."""
        text = self.conditioning(prompts)
        if self.config.unet.image_dim is None:
            return text
        own = scaled_feature(image_features(self.clip, pictures))
        return replace(text, image=own.to(self.device))

    def network(self, conditioning: Conditioning, grid: Tensor | None = None) -> Network:
        """The U-Net with `conditioning` bound.

        grid: the ascending timesteps (N,) that it will be called with, all rows at the same one;
            what is the same for all calls is then computed now. None: any timesteps.
        """
        if grid is not None:
            text = self.unet.bind(conditioning, grid)
            return lambda x_t, timestep: run_bound(self.unet, text, x_t, timestep)
        return lambda x_t, timestep: self.unet(x_t, timestep, conditioning)

    def denoiser(
        self, conditioning: Conditioning, grid: Tensor | None = None
    ) -> Denoise | BinaryDenoise:
        """The same, with the prediction that its output stands for."""
        return self.process.denoiser(self.network(conditioning, grid))

    def fits(self, prompt: str) -> bool:
        """Whether the text tower sees all of `prompt`."""
        return not self.clip.tokenize([prompt]).num_truncated

    def guide(self, config: SamplingConfig) -> ClipModel | NoisedClip | None:
        """The CLIP whose gradient guides by these settings, frozen; None where none does.

        Raises:
            UsageError: one that cannot guide this model so. CheckpointError: no CLIP there.
        """
        if config.clip_guidance.scale == 0:
            return None
        guide = self._named_clip(config.clip_guidance.guide)
        check_guide(guide, config, self.config, self.space)
        return guide

    def judge(
        self, prompts: Sequence[str], config: SamplingConfig
    ) -> ClipModel | NoisedClip | None:
        """The CLIP that chooses among candidates, frozen; None where there is one of each picture.

        Raises:
            UsageError: one that cannot choose so. CheckpointError: no CLIP there.
        """
        selection = config.selection
        if selection.best_of == 1:
            return None
        judge = self._named_clip(selection.judge)
        check_judge(judge, prompts, selection, self.config, self.space)
        return judge

    def _named_clip(self, name: str | None) -> ClipModel | NoisedClip:
        """Of `guides`; None: the model's own."""
        if name is None:
            return self.clip
        if name not in self.guides:
            self.guides[name] = load_guide(name).to(self.device).freeze()
        return self.guides[name]

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
        return replace(plan, x_T=self._inverted(plan, vary))

    def _checked(
        self,
        prompts: str | Sequence[str],
        config: SamplingConfig,
        first: int,
        init: Init | None,
        clip_image: Pictures | None,
    ) -> DrawPlan:
        """A plan that lacks a decoder's embeddings. Raises as `plan`."""
        prompts = [prompts] if isinstance(prompts, str) else prompts
        self._warn_once(
            check_prompts(
                [*prompts, config.negative_prompt],
                self.clip,
                strict=config.strict,
                reader="the text tower",
            )
        )
        check_settings(config, len(self.config.unet.block_channels), init)
        grid = self.process.plan_grid(config, init)
        guide = self.guide(config)
        targets = check_target(guide, prompts, config.clip_guidance.prompts, clip_image)
        if guide is not None:
            reader = "the CLIP that guides"
            self._warn_once(check_prompts(targets, guide, strict=config.strict, reader=reader))
        judge = self.judge(prompts, config)
        if judge is not None:
            reader = "the CLIP that chooses"
            self._warn_once(check_prompts(prompts, judge, strict=config.strict, reader=reader))
        if guide is judge is None and not config.text_to_unet and any(prompts):
            self._warn_once(
                "text_to_unet false without guidance by CLIP: the prompts have no effect; give a "
                "clip_guidance_scale above 0"
            )
        return DrawPlan(
            prompts=tuple(prompts),
            config=config,
            grid=grid,
            bf16=config.precision == "bf16"
            or (config.precision == "auto" and bf16_pays(self.device.type)),
            guide=guide,
            clip_image=clip_image,
            init=init,
            first=first,
            judge=judge,
            rounds=rounds_of(config.selection, len(grid)),
        )

    def steps(self, plan: DrawPlan) -> Iterator[DrawStep]:
        """Draws the plan's pictures, batch by batch, step by step."""
        config, done = plan.config, 0
        unet = self._rounded.get(self.unet) if plan.bf16 else self.unet
        graphs = None
        if config.graphs and self.graphs is not None:
            graphs = self.graphs.for_run(unet, *([plan.guide] if plan.guide is not None else []))
        for rows in plan.batches:
            prompts, seeds = plan.prompts[rows], plan.candidate_seeds(rows)
            network = TextNetwork.bind(
                unet,
                self.conditioning,
                prompts if config.text_to_unet else [config.negative_prompt] * len(prompts),
                config.negative_prompt,
                plan.grid,
                image=self._decoded(plan, rows),
                guidance_over=config.guidance_over,
                deep_cache_every=config.deep_cache_every,
                graphs=graphs,
            )
            guide = judge = None
            if plan.guide is not None:
                every = prompts * config.selection.best_of
                guide = ClipGuide.towards(
                    plan.guide, every, config, self.codec, plan.clip_image, seeds
                )
            if plan.judge is not None:
                judge = ClipJudge.of_prompts(plan.judge, prompts, plan.grid, self.codec)
            noise = ImageNoise(seeds, self.codec.shape, self.device)
            for step in self.process.draw(network, plan, noise, self.codec, guide, judge):
                done += 1
                yield DrawStep(
                    rows=rows,
                    index=step.index,
                    timestep=step.timestep,
                    done=done,
                    x_t=step.x_t,
                    x_0_hat=step.x_0_hat,
                )

    def _inverted(self, plan: DrawPlan, picture: Image.Image | Tensor) -> Tensor:
        """x_T (C, H, W) that gives the picture back. Raises as `check_inverted`."""
        check_inverted(plan, self.config.process)
        text = self.conditioning([plan.prompts[0]])
        own = scaled_feature(picture_embedding(self.clip, "vary", picture)[None])
        denoise = self.denoiser(replace(text, image=own.to(self.device)), plan.grid)
        pixels = square_picture("vary", picture, self.config.image_size)
        x_0 = self.codec.encode(pixels[None]).to(self.device)
        return inverted(cast(Denoise, denoise), cast(NoiseSchedule, self.schedule), plan.grid, x_0)

    def _decoded(self, plan: DrawPlan, rows: slice) -> Features | None:
        """What a decoder sees of the pictures' embeddings."""
        return None if plan.image is None else scaled_feature(plan.image[rows]).to(self.device)

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

    def noise(self, count: int = 1, seed: int = 0, first: int = 0) -> Samples:
        """The noise (count, C, H, W) that pictures `first`, `first` + 1, ... of `seed` start from,
        on the CPU; an exported pipeline takes it as `latents`."""
        seeds = [(seed, first + k) for k in range(count)]
        return ImageNoise(seeds, self.codec.shape)()

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
