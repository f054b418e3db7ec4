"""Binary diffusion as `TextToImage` draws with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from torch import Tensor

from textdiff.binary.prediction import BinaryDenoise
from textdiff.binary.process import BinaryDiffusion
from textdiff.binary.sampling import BinaryStep
from textdiff.binary.schedule import BinarySchedule
from textdiff.errors import UsageError
from textdiff.pictures import PictureCodec
from textdiff.pipeline.clip_guide import ClipGuide
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.init import Init
from textdiff.pipeline.judge import ClipJudge
from textdiff.pipeline.network import TextNetwork
from textdiff.pipeline.plan import DrawPlan, plan_grid
from textdiff.sampling.noise import ImageNoise
from textdiff.types import Network

GAUSSIAN_ONLY = (
    *("sampler", "eta", "variance", "threshold", "threshold_percentile", "guidance_rescale"),
    *("clip_guidance_scale", "clip_guide", "best_of"),
)


@dataclass(frozen=True)
class BinaryDrawing:
    """The process of models whose black-and-white pictures are noised by flips."""

    process: BinaryDiffusion

    @classmethod
    def from_config(cls, config: ModelConfig) -> BinaryDrawing:
        return cls(BinaryDiffusion.from_config(config.binary))

    @property
    def schedule(self) -> BinarySchedule:
        return self.process.schedule

    def denoiser(self, network: Network) -> BinaryDenoise:
        """The prediction that the network's output stands for."""
        return self.process.denoiser(network)

    def plan_grid(self, config: SamplingConfig, init: Init | None = None) -> Tensor:
        """The ascending timesteps (N,) that will be visited.

        Raises:
            UsageError: ones that the schedule does not have, or that the network cannot take;
                settings of Gaussian samplers.
        """
        for name in GAUSSIAN_ONLY:
            key = attrgetter(SamplingConfig.short_names.get(name, name))
            if key(config) != key(SamplingConfig()):
                raise UsageError(
                    f"{name} {key(config)}: a binary model draws coins, which have no "
                    f"such setting; leave out {name}"
                )
        grid = plan_grid(self.schedule, config, init)
        try:
            self.process.check_grid(grid)
        except ValueError as error:
            raise UsageError(str(error)) from None
        return grid

    def draw(
        self,
        network: TextNetwork,
        plan: DrawPlan,
        noise: ImageNoise,
        codec: PictureCodec,
        guide: ClipGuide | None = None,
        judge: ClipJudge | None = None,
    ) -> Iterator[BinaryStep]:
        """As `GaussianDiffusion.draw`; `plan_grid` refuses a guide and a judge."""
        config, init, device = plan.config, plan.init, noise.device
        denoise = self.process.guided(
            network, network.pair, config.guidance_scale, config.guidance_interval
        )
        if init is None:
            return self.process.draw(denoise, plan.grid, noise)
        picture = codec.encode(init.picture[None]).to(device)
        redraw = None if init.redraw is None else init.redraw.to(device)
        return self.process.draw(denoise, plan.grid, noise, picture, redraw)
