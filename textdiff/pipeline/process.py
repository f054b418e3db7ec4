"""The kinds of diffusion that `TextToImage` draws with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from torch import Tensor

from textdiff.binary.prediction import BinaryDenoise
from textdiff.binary.schedule import BinarySchedule
from textdiff.diffusion.config import ProcessType
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.pictures import BitCodec, PictureCodec, PixelCodec
from textdiff.pipeline.binary import BinaryDrawing
from textdiff.pipeline.clip_guide import ClipGuide
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.gaussian import GaussianDiffusion
from textdiff.pipeline.init import Init
from textdiff.pipeline.judge import ClipJudge
from textdiff.pipeline.network import TextNetwork
from textdiff.pipeline.plan import DrawPlan
from textdiff.sampling.noise import ImageNoise
from textdiff.types import Denoise, Network, Samples


class ProcessStep(Protocol):
    """A finished step: the state after it, and what the picture is expected to be."""

    @property
    def index(self) -> int: ...

    @property
    def timestep(self) -> int: ...

    @property
    def x_t(self) -> Samples: ...

    @property
    def x_0_hat(self) -> Samples: ...


class Process(Protocol):
    """A kind of diffusion: its schedule, and the meaning of its network's output."""

    @property
    def schedule(self) -> NoiseSchedule | BinarySchedule: ...

    def denoiser(self, network: Network) -> Denoise | BinaryDenoise:
        """The prediction that the network's output stands for."""
        ...

    def plan_grid(self, config: SamplingConfig, init: Init | None) -> Tensor:
        """The ascending timesteps (N,) that will be visited.

        Raises:
            UsageError: settings that this kind, its schedule or its network cannot follow.
        """
        ...

    def draw(
        self,
        network: TextNetwork,
        plan: DrawPlan,
        noise: ImageNoise,
        codec: PictureCodec,
        guide: ClipGuide | None = None,
        judge: ClipJudge | None = None,
    ) -> Iterator[ProcessStep]:
        """Steps down the plan's grid for the pictures that `network` is of.

        Args:
            noise: of these pictures, or with a judge of all their candidates (`plan.seeds`).
            codec: of the picture that the plan starts from, if it does.
            guide: a CLIP whose gradient guides besides.
            judge: a CLIP that chooses among candidates; steps are then of the best so far.
        """
        ...


PROCESSES: dict[ProcessType, Callable[[ModelConfig], Process]] = {
    "gaussian": GaussianDiffusion.from_config,
    "binary": BinaryDrawing.from_config,
}
# of pictures that are diffused as they are
CODECS: dict[ProcessType, Callable[[ModelConfig], PictureCodec]] = {
    "gaussian": lambda config: PixelCodec(config.image_size),
    "binary": lambda config: BitCodec(config.image_size, config.binary.threshold),
}
