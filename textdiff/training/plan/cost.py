"""What steps of a training cost: memory, seconds, FLOPs."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from textdiff.memory import forget_peak, peak_bytes
from textdiff.training.evaluate import evaluate
from textdiff.training.loop import Trainer
from textdiff.training.plan.live import LiveBytes
from textdiff.training.plan.reading import Cost
from textdiff.types import Batch

STEPS = 3


def process_cost(trainer: Trainer, steps: Iterator[list[Batch]]) -> Cost:
    """Of the process, or on a GPU of what PyTorch took of its memory."""
    device, cost = trainer.accelerator.device, Cost([])
    for micro_batches in itertools.islice(steps, STEPS):
        forget_peak()
        start, work = time.perf_counter(), time.process_time()
        trainer.train_step(micro_batches)
        cost.seconds.append(time.perf_counter() - start)
        cost.work.append(time.process_time() - work)
        on_gpu = device.type == "cuda"
        cost.peaks.append(torch.cuda.max_memory_reserved(device) if on_gpu else peak_bytes())
    return replace(cost, live=live_bytes(trainer, next(steps)))


def live_bytes(trainer: Trainer, micro_batches: list[Batch]) -> list[int]:
    """Of tensors after each operation of a step, on whatever device."""
    with LiveBytes() as live:
        trainer.train_step(micro_batches)
    return live.after


def evaluated(trainer: Trainer) -> int:
    """The peak of the process until an evaluation and a checkpoint are done."""
    if trainer.config.tensorboard:
        with contextlib.suppress(ImportError):
            import torch.utils.tensorboard  # noqa: F401  # whose code takes memory too
    evaluate(trainer.task, trainer.run, trainer.progress.step, ema=trainer.ema, examine=True)
    trainer.save()
    return peak_bytes()


def live_cost(trainer: Trainer, steps: Iterator[list[Batch]]) -> Cost:
    """Of tensors, on whatever device, and FLOPs."""
    from textdiff.training.plan.flops import counter  # 80 MB of code that a training does not load

    live = live_bytes(trainer, next(steps))
    with counter() as counted:
        trainer.train_step(next(steps))
    return Cost(live, flops=counted.get_total_flops())


def norms_in_fp32(model: nn.Module) -> None:
    """What CUDA's autocast does, and a CPU's does not: layer and group norms read and give fp32."""

    def cast(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0].float(), *inputs[1:])

    for module in model.modules():
        if isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
            module.register_forward_pre_hook(cast)
