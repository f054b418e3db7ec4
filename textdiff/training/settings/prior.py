"""Settings of `textdiff train-prior`."""

from __future__ import annotations

from pydantic import Field

from textdiff.diffusion.config import ScheduleConfig
from textdiff.models.prior_config import CodesConfig, TransformerConfig
from textdiff.pipeline.prior.config import SCALING, PriorKind, PriorSampling, Scaling
from textdiff.training.config import TrainConfig
from textdiff.training.settings.checked import CheckedRunSettings


class PriorTrainConfig(TrainConfig):
    """Rows are cheap to read, so batches are large."""

    lr: float = Field(1e-3, gt=0, description="peak learning rate")
    batch_size: int = Field(256, ge=1, description="embeddings per process and forward pass")


class TrainPriorSettings(CheckedRunSettings):
    """Training of a prior from a file of embeddings."""

    embeddings: str = Field(description="file of embeddings that 'textdiff embed' wrote")
    clip: str | None = Field(
        None, description="the CLIP that made them; none: where it lay when they were made"
    )
    kind: PriorKind = Field(
        "diffusion", description="what draws: noise that is taken away, or codes in turn"
    )
    seed: int = Field(0, description="of weights, order, noise and everything else")
    caption_drop: float = Field(
        0.1, ge=0, le=1, description="share of captions replaced by the empty one, for guidance"
    )
    ema_decay: float | None = Field(
        0.999,
        gt=0,
        lt=1,
        description="moving average that embeddings are drawn from; none: no average",
    )
    scaling: Scaling = Field("sqrt_dim", description=SCALING)
    eval_images: int = Field(512, ge=1, description="held-out embeddings that are drawn again")
    transformer: TransformerConfig = TransformerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    codes: CodesConfig = CodesConfig()
    train: PriorTrainConfig = PriorTrainConfig()
    preview: PriorSampling = PriorSampling(num_candidates=1)
