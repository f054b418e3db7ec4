"""AdamW with the usual exemptions, learning rates by optimizer step, state as named tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from textdiff.errors import CheckpointError
from textdiff.training.config import OptimizerConfig

LONGEST_WARMUP = 0.5  # of a run


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; tensors of fewer than two dimensions (norms, biases,
    scales) get no weight decay (CLIP, arXiv 2103.00020, section 2.5)."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        fused=True,
    )


def lr_factor(config: OptimizerConfig, step: int, progress: float) -> float:
    """Share of the peak learning rate at optimizer step `step` (0 first); progress in [0, 1].

    The warm-up takes `warmup_steps`, at most half of the run; what comes after it begins at the
    peak, so that every run reaches `lr`.

        warmup_end  w = warmup_steps * progress / step      (a share of the run)
        cosine      (1 + cos(pi (progress - w) / (1 - w))) / 2
        linear_tail (1 - progress) / tail, the tail beginning at w or later
    """
    warmup = max((step + 1) / (config.warmup_steps + 1), progress / LONGEST_WARMUP)
    if warmup < 1:
        return warmup
    # of a run that ends by the clock, where the warm-up ended is known from its pace
    end = min(LONGEST_WARMUP, config.warmup_steps * progress / max(1, step))
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * max(0.0, progress - end) / (1 - end)))
    if config.schedule == "linear_tail":
        return min(1.0, (1 - progress) / min(config.tail, 1 - end))
    return 1.0


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr


def _named(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, nn.Parameter]:
    owned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return {name: p for name, p in model.named_parameters() if id(p) in owned}


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimizer's state as `<parameter>/<entry>` tensors, e.g. `conv_in.weight/exp_avg`."""
    return {
        f"{name}/{entry}": value
        for name, parameter in _named(optimizer, model).items()
        for entry, value in optimizer.state[parameter].items()
    }


def load_optimizer(
    optimizer: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor], where: str
) -> None:
    """Undoes `optimizer_tensors`.

    Raises:
        CheckpointError: the tensors belong to other parameters.
    """
    named = _named(optimizer, model)
    for key, value in tensors.items():
        name, entry = key.rsplit("/", 1)
        if name not in named or (value.ndim and value.shape != named[name].shape):
            raise CheckpointError(f"{where}: '{key}' fits no parameter of the model")
        optimizer.state[named[name]][entry] = value.to(named[name].device)
    missing = [name for name in named if f"{name}/exp_avg" not in tensors]
    if tensors and missing:
        raise CheckpointError(f"{where} lacks the state of '{missing[0]}'")
