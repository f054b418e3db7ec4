"""Settings of a prior and of drawing embeddings from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from textdiff.config import Settings
from textdiff.data.embedding_space import EmbeddingSpace
from textdiff.diffusion.config import ScheduleConfig
from textdiff.models.prior_config import (
    AutoregressivePriorConfig,
    CodesConfig,
    DiffusionPriorConfig,
    TransformerConfig,
)
from textdiff.pipeline.config import SamplingConfig
from textdiff.sampling.config import Spacing

PriorKind = Literal["diffusion", "autoregressive"]
Scaling = Literal["sqrt_dim", "standard"]
SCALING = (
    "diffusion: what is noised: unit embeddings times sqrt(dim), or each coordinate with the mean "
    "0 and deviation 1 of training"
)


class PriorConfig(Settings):
    """What prior.yaml holds: enough to rebuild the prior from its weights."""

    kind: PriorKind = Field(description="what draws: noise that is taken away, or codes in turn")
    clip: str = Field(description="where the CLIP in clip/ came from")
    space: EmbeddingSpace
    text_width: int = Field(ge=1, description="width of its text tower's token features")
    context_length: int = Field(ge=1, description="most tokens of a caption")
    transformer: TransformerConfig = TransformerConfig()
    scaling: Scaling = Field("sqrt_dim", description=SCALING)
    schedule: ScheduleConfig = ScheduleConfig()
    codes: CodesConfig = CodesConfig()

    @property
    def diffusion_network(self) -> DiffusionPriorConfig:
        return DiffusionPriorConfig(**self._reads_text, **self.transformer.model_dump())

    @property
    def autoregressive_network(self) -> AutoregressivePriorConfig:
        parts = {**self.transformer.model_dump(), **self.codes.model_dump()}
        return AutoregressivePriorConfig(**self._reads_text, **parts)

    @property
    def _reads_text(self) -> dict[str, int]:
        return {
            "embed_dim": self.space.embed_dim,
            "text_width": self.text_width,
            "context_length": self.context_length,
        }

    def fixed(self) -> dict[str, Any]:
        """What a resumed run must not change, and what says how weights are read; as JSON."""
        others = {"autoregressive": ("scaling", "schedule"), "diffusion": ("codes",)}[self.kind]
        return self.model_dump(mode="json", exclude={"clip", *others})


class EmbeddingSampling(Settings):
    """How an embedding is drawn."""

    guidance_scale: float = Field(
        1.0, ge=0, description="classifier-free guidance of the prior; 1 is off"
    )
    sampler: Literal["ddim", "ddpm", "dpmpp", "dpmpp_sde", "unipc"] = Field(
        "ddpm", description="diffusion: update rule"
    )
    num_steps: int = Field(25, ge=1, description="diffusion: denoising steps")
    spacing: Spacing = Field("trailing", description="diffusion: which timesteps are visited")
    seed: int = Field(0, description="embedding k of a seed is the same at every batch size")
    batch_size: int = Field(256, ge=1, description="embeddings drawn at once")

    def of_diffusion(self) -> SamplingConfig:
        """The same for the code that draws pictures; embeddings have no range to keep to."""
        return SamplingConfig(
            sampler=self.sampler,
            num_steps=self.num_steps,
            spacing=self.spacing,
            guidance_scale=self.guidance_scale,
            threshold="none",
            seed=self.seed,
        )


class PriorSampling(EmbeddingSampling):
    """How embeddings are drawn."""

    num_candidates: int = Field(
        2, ge=1, description="embeddings drawn for each one; the nearest to the text is kept"
    )
