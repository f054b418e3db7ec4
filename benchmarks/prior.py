"""How fast priors train: reading rows and noise, and whole steps; and the most memory held.

    python benchmarks/prior.py --dims 16 64 256 --json out/prior.json

reading   batches of embeddings with their captions' features, noise and timesteps: all but the
          network
steps     the same with the network, forward, backward and update
memory    the most that the process holds above what it held before, while it trains

The embeddings are random, their captions of six words. Seconds are those of a clock: leave the
machine alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from protocol import protocol

from textdiff.clip.config import ClipConfig
from textdiff.clip.model import ClipModel
from textdiff.data.embeddings import Embeddings, write_embeddings
from textdiff.data.loader import batches
from textdiff.evaluation.results import write_numbers
from textdiff.memory import MEBIBYTE, forget_peak, peak_bytes
from textdiff.models.prior_config import CodesConfig, TransformerConfig
from textdiff.pipeline.prior.config import PriorKind
from textdiff.pipeline.prior.space import space_of
from textdiff.training.draws import draw, keys_of, uniform_timesteps
from textdiff.training.launch import accelerator_for
from textdiff.training.loop import Trainer
from textdiff.training.run_folder import RunFolder
from textdiff.training.settings.prior import PriorTrainConfig, TrainPriorSettings
from textdiff.training.specs.prior import prior_spec

CAPTIONS = 500
COMPONENTS = 32  # at most


@dataclass(frozen=True)
class Speed:
    """Embeddings a second, and the MiB of memory that training them takes."""

    kind: PriorKind
    dim: int
    reading: float
    training: float
    peak_mib: float


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--dims", nargs="+", type=int, default=[16, 64, 256])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20, help="timed, after two that are not")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    print("| prior | dim | reading, embeddings/s | training, embeddings/s | memory, MiB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    speeds = []
    kinds: tuple[PriorKind, ...] = ("diffusion", "autoregressive")
    for dim in options.dims:
        for kind in kinds:
            speed = measure(
                kind,
                dim,
                rows=options.rows,
                batch_size=options.batch_size,
                steps=options.steps,
                shape=TransformerConfig(width=options.width, heads=4, layers=options.layers),
            )
            speeds.append(asdict(speed))
            print(
                f"| {kind} | {dim} | {speed.reading:,.0f} | {speed.training:,.0f} | "
                f"{speed.peak_mib:,.0f} |"
            )
    write_numbers(options.json, {"protocol": protocol(options, "cpu"), "speeds": speeds})


def measure(
    kind: PriorKind,
    dim: int,
    *,
    rows: int,
    batch_size: int,
    steps: int,
    shape: TransformerConfig,
) -> Speed:
    with tempfile.TemporaryDirectory() as folder:
        write_random(Path(folder), dim, rows)
        settings = TrainPriorSettings(
            run_dir=f"{folder}/run",
            embeddings=f"{folder}/e.safetensors",
            clip=f"{folder}/clip",
            kind=kind,
            transformer=shape,
            codes=CodesConfig(num_components=min(COMPONENTS, dim)),
            train=PriorTrainConfig(batch_size=batch_size, precision="no", tensorboard=False),
        )
        before = forget_peak()
        spec, accelerator = prior_spec(settings), accelerator_for("no")
        task = spec.build_task(accelerator)
        trainer = Trainer(
            task=task,
            data=spec.data,
            config=spec.config,
            accelerator=accelerator,
            run=RunFolder(folder, main=False),
            seed=0,
            ema_decay=0.999,
            fixed={},
        )
        made = batches(spec.data, seed=0, batch_size=batch_size)

        def read() -> None:
            (batch,) = next(made)
            drawn = draw(keys_of(batch, 0, 0), (dim,), uniform_timesteps(1000), 0.1)
            task.embed(drawn.shown(batch.captions))

        stepped = iter(islice(batches(spec.data, seed=0, batch_size=batch_size), steps + 2))
        reading = batch_size / seconds_each(read, steps)
        training = batch_size / seconds_each(lambda: trainer.train_step(next(stepped)), steps)
        return Speed(kind, dim, reading, training, (peak_bytes() - before) / MEBIBYTE)


def seconds_each(work: Callable[[], object], times: int) -> float:
    """After two that are not timed."""
    work(), work()
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def write_random(folder: Path, dim: int, rows: int) -> None:
    """A CLIP with embeddings of `dim` numbers, and `rows` random ones of it."""
    text = {"context_length": 16, "width": 64, "heads": 2, "layers": 1}
    image = {"width": 32, "heads": 2, "layers": 1}
    clip = ClipModel.build(ClipConfig(text=text, image=image, embed_dim=dim), seed=0)
    clip.save(folder / "clip")
    texts = [f"caption number {k} of so many" for k in range(CAPTIONS)]
    rng = torch.Generator().manual_seed(0)
    embeddings = Embeddings(
        image=F.normalize(torch.randn(rows, dim, generator=rng), dim=1),
        text=F.normalize(torch.randn(CAPTIONS, dim, generator=rng), dim=1),
        texts=texts,
        identifiers=[str(row) for row in range(rows)],
        splits=["train"] * rows,
        captions=[[texts[row % CAPTIONS]] for row in range(rows)],
        clip=str(folder / "clip"),
        space=space_of(clip),
        source={"source": "random"},
        attribution=None,
        bad={},
    )
    write_embeddings(folder / "e.safetensors", embeddings)


if __name__ == "__main__":
    main()
