"""Settings of training that all tasks share."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from textdiff.config import Settings

Beta = Annotated[float, Field(ge=0, lt=1)]
Workers = Annotated[int, Field(ge=0)]
Threads = Annotated[int, Field(ge=1)]
Kept = Literal["sampled", "mean"]  # what x_0 is of what a VAE says of a picture


class OptimizerConfig(Settings):
    """AdamW. Norms, biases and scalars are exempt from weight decay."""

    lr: float = Field(1e-4, gt=0, description="peak learning rate")
    betas: tuple[Beta, Beta] = Field((0.9, 0.999), description="decay of the moments")
    eps: float = Field(1e-8, gt=0, description="added to the root of the second moment")
    weight_decay: float = Field(0.01, ge=0, description="decoupled weight decay of matrices")
    warmup_steps: int = Field(
        500, ge=0, description="steps of linear warm-up; at most half of the run"
    )
    schedule: Literal["constant", "cosine", "linear_tail"] = Field(
        "constant",
        description="after warm-up: stay; cosine to 0; or stay, then linear to 0 over `tail`",
    )
    tail: float = Field(
        0.4, gt=0, le=1, description="share of the run that linear_tail decays over"
    )
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are scaled down to this norm")


class TrainConfig(OptimizerConfig):
    """The optimizer, how long, how many at once, and what is written when."""

    steps: int = Field(100_000, ge=1, description="optimizer steps")
    max_minutes: float | None = Field(
        None,
        gt=0,
        description="stop after this time even if steps are left; the learning rate follows "
        "whichever ends first (such a run cannot be repeated to the bit)",
    )
    batch_size: int = Field(64, ge=1, description="samples per process and forward pass")
    accumulation: int = Field(
        1,
        ge=1,
        description="forward passes per optimizer step (CLIP: each with its own negatives)",
    )
    workers: Workers | Literal["auto"] = Field(
        "auto",
        description="data loading processes per rank; auto: by the cores, where pictures are slow "
        "to read",
    )
    threads: Threads | Literal["auto"] = Field(
        "auto",
        description="of each process on a CPU, where bits depend on it; auto: OMP_NUM_THREADS, or "
        "as before in a resumed run without max_minutes, or as many as there are cores free",
    )
    precision: Literal["auto", "no", "bf16", "fp16"] = Field(
        "auto",
        description="mixed precision; auto: what accelerate was launched with unless that is no, "
        "else bf16 where a probe finds it faster than fp32",
    )
    compile: bool | Literal["auto"] = Field(
        False,
        description="torch.compile the network; the first step waits. auto: on a GPU in long runs, "
        "and not where compiling fails",
    )
    activation_checkpointing: bool = Field(
        False,
        description="U-Net: keep what enters each block alone and compute it again for the "
        "gradients: less memory, a third more time",
    )
    max_skipped_steps: int = Field(
        10,
        ge=0,
        description="steps left out in all, at most 3 in a row, because the loss or the gradient "
        "is not finite; then the run ends with exit code 5",
    )
    log_every: int = Field(50, ge=1, description="steps between lines in metrics.jsonl")
    eval_every: int = Field(1000, ge=1, description="steps between evaluations on the val split")
    checkpoint_every: int = Field(1000, ge=1, description="steps between checkpoints")
    keep_checkpoints: int = Field(2, ge=2, description="newest checkpoints kept")
    rank_timeout: float = Field(
        10.0,
        gt=0,
        description="of several processes: minutes after which one that was stopped or is dead "
        "ends the run; one that only takes long does not",
    )
    tensorboard: bool = Field(True, description="write tensorboard/ too where it is installed")


class ClipTrainConfig(TrainConfig):
    """AdamW, weight decay and warm-up as CLIP (arXiv 2103.00020, table 18); a batch and a number of
    steps for one machine."""

    lr: float = Field(5e-4, gt=0, description="peak learning rate")
    betas: tuple[Beta, Beta] | None = Field(  # type: ignore[assignment]
        None, description="decay of the moments; none: 0.9 and 0.98 (vit) or 0.999 (resnet)"
    )
    eps: float | None = Field(  # type: ignore[assignment]
        None, gt=0, description="none: 1e-6 (vit) or 1e-8 (resnet)"
    )
    weight_decay: float = Field(0.2, ge=0, description="decoupled weight decay of matrices")
    warmup_steps: int = Field(
        2000, ge=0, description="steps of linear warm-up; at most half of the run"
    )
    schedule: Literal["constant", "cosine", "linear_tail"] = Field(
        "cosine", description="after warm-up: stay; cosine to 0; or stay, then linear to 0"
    )
    batch_size: int = Field(1024, ge=1, description="pairs per process (the paper: 32,768 in all)")
    encoder_batch_size: int | None = Field(
        None,
        ge=1,
        description="pairs that the towers encode at a time, for a batch_size beyond memory: the "
        "same gradients, a third more time (gradient caching; none: all at once)",
    )

    def for_tower(self, kind: str) -> ClipTrainConfig:
        """With the betas and epsilon of the image tower's kind filled in."""
        betas, eps = {"vit": ((0.9, 0.98), 1e-6), "resnet": ((0.9, 0.999), 1e-8)}[kind]
        return self.model_copy(update={"betas": self.betas or betas, "eps": self.eps or eps})


class ContrastiveLossConfig(Settings):
    """What draws matching features together and others apart."""

    kind: Literal["softmax", "sigmoid"] = Field(
        "softmax", description="CLIP's cross-entropy, or SigLIP's yes or no for each pair"
    )
    local: bool = Field(
        False,
        description="softmax on several processes: each takes the others' features as constants, "
        "which saves an exchange and is not the gradient of one process",
    )

    @pydantic.model_validator(mode="after")
    def _local_is_softmax(self) -> ContrastiveLossConfig:
        if self.local and self.kind == "sigmoid":
            raise ValueError("local needs kind softmax; the sigmoid loss has no such form")
        return self
