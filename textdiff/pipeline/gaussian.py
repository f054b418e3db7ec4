"""Gaussian diffusion as `TextToImage` draws with it.

network(x_t, timestep) ── from_output ──► Denoise ── guidance ── threshold ── ClipGuide ── inpaint ┐
x_T ~ N(0, I), or a noised picture ── sample(denoise, sampler, grid) ◄─────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from textdiff.diffusion.config import PredictionType, VarianceType
from textdiff.diffusion.prediction import from_output
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.diffusion.variance import pick_variance
from textdiff.errors import UsageError
from textdiff.guidance import classifier_free, interval, rescale
from textdiff.pictures import PictureCodec
from textdiff.pipeline.clip_guide import ClipGuide
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.init import Init
from textdiff.pipeline.judge import ClipJudge
from textdiff.pipeline.network import GuidedNetwork, TextNetwork
from textdiff.pipeline.plan import DrawPlan, plan_grid, threshold_of
from textdiff.sampling.base import Sampler, Step, resume, sample
from textdiff.sampling.chunks import in_chunks
from textdiff.sampling.ddim import DDIM
from textdiff.sampling.ddpm import DDPM
from textdiff.sampling.dpm_solver import DPMSolverPP
from textdiff.sampling.inpaint import inpaint
from textdiff.sampling.noise import ImageNoise
from textdiff.sampling.threshold import dynamic_threshold, static_threshold
from textdiff.sampling.tournament import tournament
from textdiff.sampling.unipc import UniPC
from textdiff.types import Denoise, Network, Prediction, Samples, Timesteps

# a sampler from its settings and the variance of the reverse process
SAMPLERS: dict[str, Callable[[SamplingConfig, VarianceType], Sampler]] = {
    "ddim": lambda config, variance: DDIM(config.eta),
    "ddpm": lambda config, variance: DDPM(variance),
    "dpmpp": lambda config, variance: DPMSolverPP(),
    "dpmpp_sde": lambda config, variance: DPMSolverPP(sde=True),
    "unipc": lambda config, variance: UniPC(),
}


BELONGS_TO = {  # settings that one choice alone looks at
    "eta": ("sampler", ("ddim",)),
    "variance": ("sampler", ("ddpm",)),
    "threshold_percentile": ("threshold", ("dynamic",)),
}


@dataclass(frozen=True)
class GaussianDiffusion:
    """The process of models whose pictures are noised by N(0, I).

    bounded: whether x_0 lies in [-1, 1], as pixels do and latents do not.
    """

    schedule: NoiseSchedule
    prediction: PredictionType
    learned_variance: bool
    bounded: bool = True

    @classmethod
    def from_config(cls, config: ModelConfig) -> GaussianDiffusion:
        schedule = NoiseSchedule.from_config(config.schedule)
        learned = config.unet.learned_variance
        return cls(schedule, config.prediction, learned, bounded=config.vae is None)

    def denoiser(self, network: Network) -> Denoise:
        """The prediction that the network's output stands for."""

        def denoise(x_t: Samples, timestep: Timesteps) -> Prediction:
            return self._prediction(network(x_t, timestep), x_t, timestep)

        return denoise

    def plan_grid(self, config: SamplingConfig, init: Init | None = None) -> Tensor:
        """The ascending timesteps (N,) that will be visited.

        Raises:
            UsageError: ones that the schedule does not have, or in another order; a learned
                variance of a model that has none; a threshold of latents; settings that have no
                effect.
        """
        self.sampler(config)
        if not self.bounded and config.threshold in ("static", "dynamic"):
            raise UsageError(
                f"threshold {config.threshold}: this model draws latents of a VAE, which are not "
                "kept in [-1, 1]; leave out threshold"
            )
        for name, needed in BELONGS_TO.items():
            key, values = needed
            default = SamplingConfig.model_fields[name].default
            if getattr(config, name) != default and getattr(config, key) not in values:
                raise UsageError(
                    f"{name} {getattr(config, name)} has no effect with {key} "
                    f"{getattr(config, key)}; leave it out, or use {key} {' or '.join(values)}"
                )
        return plan_grid(self.schedule, config, init)

    def sampler(self, config: SamplingConfig) -> Sampler:
        """The update rule. Raises as `plan_grid`."""
        try:
            variance = pick_variance(
                config.variance, self.learned_variance, otherwise="fixed_small"
            )
        except ValueError as error:
            raise UsageError(f"variance learned: {error}") from None
        return SAMPLERS[config.sampler](config, variance)

    def guided(self, network: GuidedNetwork, config: SamplingConfig) -> Denoise:
        """With classifier-free guidance and threshold as `config` says."""
        denoise = self._classifier_free(network, config)
        threshold = threshold_of(config, self.bounded)
        if threshold == "static":
            return static_threshold(denoise, self.schedule)
        if threshold == "dynamic":
            return dynamic_threshold(denoise, self.schedule, config.threshold_percentile)
        return denoise

    def _classifier_free(self, network: GuidedNetwork, config: SamplingConfig) -> Denoise:
        conditional = self.denoiser(network)
        if config.guidance_scale == 1.0:
            return conditional

        def pair(x_t: Samples, timestep: Timesteps) -> tuple[Prediction, Prediction]:
            cond, uncond = network.pair(x_t, timestep)
            return self._prediction(cond, x_t, timestep), self._prediction(uncond, x_t, timestep)

        correction = None
        if config.guidance_rescale:
            correction = rescale(self.schedule, config.guidance_rescale)
        guided = classifier_free(pair, config.guidance_scale, correction)
        if config.guidance_interval is None:
            return guided
        return interval(guided, conditional, *config.guidance_interval)

    def draw(
        self,
        network: TextNetwork,
        plan: DrawPlan,
        noise: ImageNoise,
        codec: PictureCodec,
        guide: ClipGuide | None = None,
        judge: ClipJudge | None = None,
    ) -> Iterator[Step]:
        """Steps down the plan's grid for the pictures that `network` is of.

        judge: chooses among the candidates of each, which `noise` and `guide` are then of, all
            first ones first. The network sees one of each picture at once.
        """
        every = len(noise.seeds)
        pictures = every if judge is None else every // plan.config.selection.best_of

        def stretch(rows: list[int], after: Step | None) -> Iterator[Step]:
            of_rows = None if guide is None else guide[rows]
            return self._stretch(network, plan, noise[rows], codec, of_rows, pictures, after)

        if judge is None:
            return stretch(list(range(every)), None)
        best_of = plan.config.selection.best_of
        return tournament(stretch, judge, plan.rounds, pictures, best_of)

    def _stretch(
        self,
        network: TextNetwork,
        plan: DrawPlan,
        noise: ImageNoise,
        codec: PictureCodec,
        guide: ClipGuide | None,
        at_once: int,
        after: Step | None,
    ) -> Iterator[Step]:
        """The steps that follow `after`; None: all. at_once: samples that the network sees."""
        count, init, device = len(noise.seeds), plan.init, noise.device
        x_0 = None if init is None else codec.encode(init.picture[None]).to(device)

        def chunk(rows: slice) -> Denoise:
            of_rows = None if guide is None else guide[list(range(count)[rows])]
            return self._guided_by_all(network, plan, of_rows)

        denoise = in_chunks(count, at_once, chunk)
        redraw = None if init is None else init.redraw_at(codec.shape[-1])
        if redraw is not None:
            assert x_0 is not None
            denoise = inpaint(denoise, self.schedule, x_0, redraw.to(device))
        sampler = self.sampler(plan.config)
        if after is not None:
            return resume(denoise, self.schedule, sampler, plan.grid, after, noise)
        x = noise()
        if plan.x_T is not None:
            x = plan.x_T.to(x).expand_as(x)
        if x_0 is not None:
            x = self.schedule.add_noise(x_0.expand_as(x), x, plan.grid[-1:].expand(count))
        return sample(denoise, self.schedule, sampler, plan.grid, x, noise)

    def _guided_by_all(
        self, network: TextNetwork, plan: DrawPlan, guide: ClipGuide | None
    ) -> Denoise:
        denoise = self.guided(network, plan.config)
        if guide is None:
            return denoise
        return guide.guided(denoise, self.schedule, plan.grid, network.graphs)

    def _prediction(self, output: Samples, x_t: Samples, timestep: Timesteps) -> Prediction:
        return from_output(self.prediction, self.schedule, output, x_t, timestep)
