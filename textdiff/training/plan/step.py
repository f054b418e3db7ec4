"""A real step of a training at a small batch, measured, in a process of its own.

    python -m textdiff.training.plan.step JOB.json ──► StepReading as JSON, in the job's `out`

settings ── as the command builds it ──► Trainer ── a first step, which makes the optimizer's state
  for this machine:  three more, with the peak of the process and the seconds of each; one with live
                     tensors after each operation; an evaluation and a checkpoint
  for a GPU:         two more: live tensors after each operation of one, the FLOPs of the other

For a GPU attention takes its fused kernel, and norms compute in fp32 as CUDA's autocast has it.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from textdiff.attention import use_fused_kernels
from textdiff.config import Settings, build
from textdiff.errors import TextdiffError
from textdiff.memory import forget_peak, peak_bytes, usable_bytes
from textdiff.training.captions import LIMIT_BYTES, CaptionEmbeddings
from textdiff.training.cpu_threads import use_training_threads
from textdiff.training.latent_images import BYTES
from textdiff.training.latents import LatentEncoder
from textdiff.training.launch import accelerator_for
from textdiff.training.loop import Trainer
from textdiff.training.plan.cost import evaluated, live_cost, norms_in_fp32, process_cost
from textdiff.training.plan.live import all_tensors, held_bytes
from textdiff.training.plan.reading import Held, StepJob, StepReading
from textdiff.training.plan.settings import SCHEMAS, train_of
from textdiff.training.plan.specs import spec_of
from textdiff.training.run_folder import RunFolder
from textdiff.training.settings.text_to_image import TrainSettings
from textdiff.training.settings.vae import TrainVaeSettings
from textdiff.types import Batch


def measure(job: StepJob) -> StepReading:
    """Raises as the training's own command does, before it trains."""
    forget_peak()
    settings = _at_batch(build(SCHEMAS[job.task], [("plan", job.settings)]), job)
    spec = spec_of(job.task, settings)
    accelerator = accelerator_for(spec.config.precision)
    with tempfile.TemporaryDirectory() as empty:
        run = RunFolder(empty)
        use_training_threads(accelerator, spec.config, run.checkpoints)
        trainer = spec.trainer(accelerator, run)
        if trainer.adversary:
            trainer.adversary.start_at(0)
        embed = getattr(trainer.task, "embed", None)
        texts = embed if isinstance(embed, CaptionEmbeddings) else None
        if texts is not None and (job.captions or 0) * texts.row_bytes > LIMIT_BYTES:
            texts.table = None
        if job.live:
            use_fused_kernels()
            for network in networks_of(trainer):
                norms_in_fp32(network)
        latents = getattr(trainer.task, "latents", None)
        encoder = latents if isinstance(latents, LatentEncoder) else None
        setup = peak_bytes()
        with closing(trainer.batches()) as pictures:
            steps = as_latents(pictures, encoder) if encoder and job.cached else pictures
            trainer.train_step(next(steps))
            cost = live_cost(trainer, steps) if job.live else process_cost(trainer, steps)
        evaluation = max(evaluated(trainer), *cost.peaks) if job.evaluate else 0
    parameters = [p for network in networks_of(trainer) for p in network.parameters()]
    rival = f" with a {trainer.adversary.name}" if trainer.adversary else ""
    return StepReading(
        batch=job.batch,
        name=f"{trainer.task.name}{rival}",
        parameters=sum(p.numel() for p in parameters),
        trained=sum(p.numel() for p in parameters if p.requires_grad),
        held=held_by(trainer),
        setup=setup,
        evaluation=evaluation,
        cost=cost,
        precision=accelerator.mixed_precision,
        device=accelerator.device.type,
        threads=torch.get_num_threads(),
        capacity=capacity_of(accelerator.device),
        rows=len(spec.data),
        texts=len({text for texts in spec.data.captions for text in texts}),
        text_bytes=0 if texts is None or texts.table is None else texts.row_bytes,
        latent_bytes=BYTES * math.prod(encoder.row_shape) if encoder and job.cached else 0,
    )


def as_latents(steps: Iterator[list[Batch]], encoder: LatentEncoder) -> Iterator[list[Batch]]:
    """Batches as a cache of latents gives them; which latents these are changes no memory."""
    rng = torch.Generator().manual_seed(0)
    for micro_batches in steps:
        shapes = [(len(batch.captions), *encoder.row_shape) for batch in micro_batches]
        rows = [torch.randn(shape, generator=rng).half() for shape in shapes]
        yield [replace(b, image=r) for b, r in zip(micro_batches, rows, strict=True)]


def capacity_of(device: torch.device) -> int:
    """Bytes of memory."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return usable_bytes()


def networks_of(trainer: Trainer) -> list[nn.Module]:
    """The task's own, and the one that is trained against it, if any."""
    return [trainer.task.model, *([trainer.adversary.network] if trainer.adversary else [])]


def held_by(trainer: Trainer) -> Held:
    """Between steps; gradients count although they are let go."""
    parameters = [p for network in networks_of(trainer) for p in network.parameters()]
    trained = [p for p in parameters if p.requires_grad]
    optimizers = [trainer.optimizer, *([trainer.adversary.optimizer] if trainer.adversary else [])]
    state = [
        value
        for optimizer in optimizers
        for entries in optimizer.state.values()
        for value in entries.values()
        if isinstance(value, Tensor)
    ]
    average = list(trainer.ema.averages.values()) if trainer.ema else []
    gradients = [p.grad for p in trained if p.grad is not None]
    tensors = (*parameters, *state, *average, *gradients)
    known = {tensor.untyped_storage()._cdata for tensor in tensors}
    others = [t for t in all_tensors() if t.untyped_storage()._cdata not in known]
    return Held(
        weights=held_bytes(parameters),
        adversary=held_bytes(trainer.adversary.network.parameters()) if trainer.adversary else 0,
        gradients=held_bytes(trained),
        optimizer=held_bytes(state),
        average=held_bytes(average),
        others=held_bytes(others),
    )


def _at_batch(settings: Settings, job: StepJob) -> Settings:
    """`settings` for what `job` asks, without what that does not need."""
    train = train_of(settings)
    changes: dict[str, Any] = {
        "train": train.model_copy(
            update={
                "batch_size": job.batch,
                "accumulation": min(2, train.accumulation),  # with gradients, and without
                "workers": 0,
                "compile": False,
                **({"encoder_batch_size": None} if hasattr(train, "encoder_batch_size") else {}),
            }
        )
    }
    if isinstance(settings, TrainSettings) and not job.evaluate:
        changes["preview"] = settings.preview.model_copy(update={"num_prompts": 0})
    if isinstance(settings, TrainVaeSettings):
        changes["statistics_images"] = 16
    return settings.model_copy(update=changes)


def main(path: str) -> None:
    """Ends with the exit code of the error that the training's command would meet."""
    job = StepJob(**json.loads(Path(path).read_text(encoding="utf-8")))
    try:
        reading = measure(job)
    except TextdiffError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(error.exit_code)
    Path(job.out).write_text(json.dumps(asdict(reading)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
